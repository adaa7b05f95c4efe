//! What `pod run` and `pod create` take: a pod of one container in docker's flags, or a manifest.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cli::Context;
use crate::cri::api::Protocol;
use crate::engine::container::random_id;
use crate::engine::pod::lifecycle::{Fetch, make};
use crate::engine::pod::request::{ContainerRequest, Mounted, PodPort, PodRequest, Source};
use crate::engine::pod::{kubelet, manifest};
use crate::error::{Error, Result};

/// A pod to make.
#[derive(Debug, clap::Args)]
pub(super) struct Parts {
    /// Set environment variables
    #[arg(short, long, value_name = "KEY=VALUE")]
    env: Vec<String>,
    /// Make the pod of a Kubernetes manifest, in YAML or JSON; `-` is standard input
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["name", "namespace", "image", "env", "publish"])]
    file: Option<PathBuf>,
    /// The pod's host name
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// Set labels of the pod
    #[arg(short, long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// Assign a name to the pod
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Kubernetes' namespace of the pod [default: default]
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// The pod's network: its own ("pod"), or the host's ("host")
    #[arg(long, value_name = "NETWORK", default_value = "pod", value_parser = ["pod", "host"])]
    network: String,
    /// Give extended privileges to the container
    #[arg(long)]
    privileged: bool,
    /// Publish a port of the pod to the host, through its network's portmap plugin
    #[arg(short, long, value_name = "[IP:]HOST:POD[/PROTOCOL]")]
    publish: Vec<String>,
    /// Pull the image before: "always", "missing", "never"
    #[arg(long, value_name = "WHEN", default_value = "missing", value_parser = ["always", "missing", "never"])]
    pull: String,
    /// Use this handler of the runtime, a RuntimeClass's
    #[arg(long, value_name = "NAME")]
    runtime_handler: Option<String>,
    /// Mount a path of this machine
    #[arg(short, long, value_name = "PATH:PATH[:ro]")]
    volume: Vec<String>,
    /// Working directory inside the container
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// The image
    #[arg(required_unless_present = "file", value_name = "IMAGE")]
    image: Option<String>,
    /// The command with its arguments, instead of the image's
    #[arg(value_name = "COMMAND [ARG...]", trailing_var_arg = true, allow_hyphen_values = true, num_args = 0..)]
    command: Vec<String>,
}

/// Make the pod, print its id.
pub(super) async fn run(parts: Parts, start: bool, cx: &mut Context<'_>) -> Result<u8> {
    let (request, unheeded) = match &parts.file {
        Some(file) => manifest::parse(&read(file)?).map_err(|error| error.context(file.display()))?,
        None => (parts.request()?, Vec::new()),
    };
    for field in unheeded {
        cx.ui.warn(format_args!("{field} has no effect here"))?;
    }
    let fetch = match parts.pull.as_str() {
        "always" => Fetch::Always,
        "never" => Fetch::Never,
        _ => Fetch::Missing,
    };
    let engine = cx.pod_engine().await?;
    if kubelet::runs() {
        cx.ui.warn("a kubelet runs on this machine: it ends pods that its cluster does not know")?;
    }
    let made = make(&engine, &request, fetch, start).await?;
    cx.ui.line(made.id)?;
    Ok(0)
}

/// No manifest is near this size.
const LARGEST: u64 = 4 << 20;

fn read(file: &Path) -> Result<Value> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(LARGEST).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(LARGEST).read_to_string(&mut text))
    };
    read.map_err(|cause| Error::io("read", file, cause))?;
    serde_saphyr::from_str(&text).map_err(|cause| Error::failed(format!("read {}: {cause}", file.display())))
}

impl Parts {
    /// The pod of one container that the flags describe.
    fn request(&self) -> Result<PodRequest> {
        let image = self.image.clone().unwrap_or_default();
        let name = match &self.name {
            Some(name) => name.clone(),
            None => format!("{}-{}", base(&image), random_id()?.get(..5).unwrap_or_default()),
        };
        if !is_label(&name) || !self.namespace.as_deref().is_none_or(is_label) {
            return Err(Error::usage(format!("\"{name}\" is no name of a pod"))
                .hint("a name has lower case letters, digits, dashes and dots"));
        }
        let pair = |text: &String| match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
            _ => Err(Error::usage(format!("invalid argument {text:?}: write KEY=VALUE"))),
        };
        let env = self.env.iter().map(pair).collect::<Result<Vec<_>>>()?;
        let container = ContainerRequest {
            name: base(&image),
            image,
            args: self.command.clone(),
            working_dir: self.workdir.clone(),
            env,
            mounts: self.volume.iter().map(|text| mount(text)).collect::<Result<_>>()?,
            privileged: self.privileged,
            ..ContainerRequest::default()
        };
        Ok(PodRequest {
            namespace: self.namespace.clone().unwrap_or_else(|| "default".into()),
            name,
            hostname: self.hostname.clone(),
            labels: self.label.iter().map(pair).collect::<Result<BTreeMap<_, _>>>()?,
            host_network: self.network == "host",
            runtime_handler: self.runtime_handler.clone(),
            ports: self.publish.iter().map(|text| port(text)).collect::<Result<_>>()?,
            containers: vec![container],
            ..PodRequest::default()
        })
    }
}

/// Whether Kubernetes takes this as a name.
fn is_label(name: &str) -> bool {
    let plain = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    !name.is_empty()
        && name.len() <= 253
        && name.bytes().all(|letter| plain(letter) || matches!(letter, b'-' | b'.'))
        && name.bytes().next().is_some_and(plain)
        && name.bytes().last().is_some_and(plain)
}

/// The last part of an image's name, as the name of a container.
fn base(image: &str) -> String {
    let name = image.split('@').next().unwrap_or(image);
    let last = name.rsplit('/').next().unwrap_or(name);
    let last = last.split(':').next().unwrap_or(last).to_lowercase().replace(['_', '.'], "-");
    let last = last.trim_matches('-').to_owned();
    if is_label(&last) { last } else { "app".into() }
}

fn mount(text: &str) -> Result<Mounted> {
    let wrong = || {
        Error::usage(format!("invalid volume {text:?}"))
            .hint("write two absolute paths: /srv/data:/data, or /srv/data:/data:ro")
    };
    let (source, target, read_only) = match text.split(':').collect::<Vec<_>>().as_slice() {
        [source, target] | [source, target, "rw"] => (*source, *target, false),
        [source, target, "ro"] => (*source, *target, true),
        _ => return Err(wrong()),
    };
    if !source.starts_with('/') || !target.starts_with('/') {
        return Err(wrong());
    }
    Ok(Mounted { source: Source::Host(source.into()), target: target.into(), read_only })
}

fn port(text: &str) -> Result<PodPort> {
    let wrong = || {
        Error::usage(format!("invalid port {text:?}")).hint("write HOST:POD, such as 8080:80 or 53:53/udp")
    };
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => return Err(wrong()),
    };
    let (ports, container) = ports.rsplit_once(':').ok_or_else(wrong)?;
    let (host_ip, host) = ports.rsplit_once(':').unwrap_or(("", ports));
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port != 0).ok_or_else(wrong);
    let host_ip = host_ip.trim_start_matches('[').trim_end_matches(']');
    if !host_ip.is_empty() && host_ip.parse::<std::net::IpAddr>().is_err() {
        return Err(wrong());
    }
    Ok(PodPort { host: number(host)?, host_ip: host_ip.to_owned(), container: number(container)?, protocol })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_or_refused() {
        let udp = PodPort { host: 53, host_ip: "127.0.0.1".into(), container: 5353, protocol: Protocol::Udp };
        assert_eq!(port("127.0.0.1:53:5353/udp").unwrap(), udp);
        assert_eq!(port("[::1]:8080:80").unwrap().host_ip, "::1");
        for text in ["80", "x:80", "0:80", "80:80/x", "web:80:80"] {
            assert!(port(text).is_err(), "{text}");
        }
        assert!(mount("/a:/b:ro").unwrap().read_only);
        for text in ["/a", "a:/b", "/a:b", "/a:/b:z"] {
            assert!(mount(text).is_err(), "{text}");
        }
        for (image, name) in [
            ("docker.io/library/busybox:1.37", "busybox"),
            ("registry:5000/My_App@sha256:aa", "my-app"),
            ("..", "app"),
        ] {
            assert_eq!(base(image), name);
        }
        for (name, expected) in [("web-1", true), ("Web", false), ("-a", false), ("", false), ("a/b", false)]
        {
            assert_eq!(is_label(name), expected, "{name}");
        }
    }
}
