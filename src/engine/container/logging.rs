//! What a container's log driver must know before it starts: tags filled in, labels and variables chosen, names of
//! log servers looked up. The monitor asks nobody.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::model::{Container, Record};
use crate::config::paths::JOURNALD;
use crate::error::{Error, Result};
use crate::monitor::Duty;
use crate::monitor::log::link::Patience;
use crate::monitor::log::options::{Place, cache, limit};
use crate::monitor::log::remote::{Form, Target};
use crate::monitor::log::socket::Address;
use crate::monitor::log::tls::{self, Tls};
use crate::monitor::log::{attributes, fluentd, journald, syslog};
use crate::output::template::{Options, Template, Val};

/// docker's tag where nobody asks for another.
const TAG: &str = "{{.ID}}";
/// docker's name of itself in tags.
const DAEMON: &str = "docker";
/// What a server's queue holds where nobody says.
const LIMIT: usize = 1 << 20;
/// How long a log server that must be there may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// Fill in the log's part of `duty`.
///
/// # Errors
/// An option or a tag that does not parse, a server's name that nobody knows, a server that must be there and is
/// not: docker too starts no container then.
pub(super) async fn settle(container: &Container, record: &Record, duty: &mut Duty) -> Result<()> {
    let settled = async {
        let config = &record.request.log;
        let given = config.options.get("tag").filter(|tag| !tag.is_empty());
        let tag = tag(container, record, given.map_or(TAG, String::as_str))?;
        let environment = environment(record);
        let shown = given.map(|_| tag.as_str());
        duty.log_attributes = attributes::select(config, &container.labels, &environment, shown);
        let mut extra = duty.log_attributes.clone();
        if given.is_some() {
            extra.remove("tag");
        }
        duty.log_target = target(container, record, tag, extra).await?;
        Ok(())
    };
    settled.await.map_err(|error: Error| error.context("failed to initialize logging driver"))
}

fn environment(record: &Record) -> Vec<String> {
    let image = record.image_config.pointer("/config/Env").and_then(Value::as_array).into_iter().flatten();
    let image = image.filter_map(Value::as_str).map(str::to_owned);
    image.chain(record.request.env.iter().cloned()).collect()
}

/// docker's tag template over what docker calls the container's Info.
fn tag(container: &Container, record: &Record, text: &str) -> Result<String> {
    let short = |text: &str| text.get(..12).unwrap_or(text).to_owned();
    let image_id = record.image_id.strip_prefix("sha256:").unwrap_or(&record.image_id);
    let data = json!({
        "ID": short(&container.id),
        "FullID": container.id,
        "ContainerID": container.id,
        "Name": container.name,
        "ContainerName": format!("/{}", container.name),
        "ImageID": short(image_id),
        "ImageFullID": record.image_id,
        "ContainerImageID": record.image_id,
        "ImageName": record.request.image,
        "ContainerImageName": record.request.image,
        "Command": record.command.join(" "),
        "ContainerLabels": container.labels,
        "Hostname": hostname(),
        "DaemonName": DAEMON,
    });
    let mut out = String::new();
    let options = Options { missing_key_fails: true, header: false };
    Template::parse(text)
        .and_then(|template| template.execute(Val::json(&data), options, &mut out))
        .map_err(|error| Error::failed(format!("{error} (in the log opt tag)")))?;
    Ok(out)
}

fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Where the messages go, and how they look; None for drivers that write files or nothing.
async fn target(
    container: &Container,
    record: &Record,
    tag: String,
    extra: BTreeMap<String, String>,
) -> Result<Option<Target>> {
    let config = &record.request.log;
    let asked = limit(&config.options)?;
    let mut tls = None;
    let (address, patience, form, own_limit) = match config.driver.as_str() {
        "syslog" => {
            let (place, facility, layout) = syslog::parse(&config.options)?;
            let form = Form::Syslog(syslog::Form { layout, facility, tag, hostname: hostname() });
            if let Place::Tls(host, _) = &place {
                tls = Some(syslog::tls(&config.options, host.clone())?);
            }
            let address = look_up(place).await?;
            must_agree(&address, tls.as_ref()).await.map_err(|error| {
                error
                    .hint("--log-opt syslog-tls-ca-cert=FILE names the authority of the server's certificate")
            })?;
            (address, Patience::default(), form, None)
        }
        "journald" => {
            if !Path::new(JOURNALD).exists() {
                return Err(Error::failed("journald is not enabled on this host")
                    .hint(format!("nobody listens on {JOURNALD}")));
            }
            let form = Form::Journald(journald_form(container, tag, &record.request.image, extra));
            (Address::Datagram(JOURNALD.into()), Patience::default(), form, None)
        }
        "fluentd" => {
            let settings = fluentd::parse(&config.options)?;
            let mut fields = extra;
            fields.insert("container_id".into(), container.id.clone());
            fields.insert("container_name".into(), format!("/{}", container.name));
            let form = Form::Fluentd(fluentd::Form {
                tag,
                record: fields,
                precise: settings.precise,
                id: container.id.clone(),
                acknowledged: settings.patience.receipt.is_some(),
            });
            if let Place::Tls(name, _) = &settings.place {
                let name = name.clone();
                tls = Some(tls::Settings { name, authorities: None, identity: None, skip_verify: false });
            }
            let address = look_up(settings.place).await?;
            if !settings.asynchronous {
                must_answer(&address).await?;
                must_agree(&address, tls.as_ref()).await.map_err(|error| {
                    error.hint("make the authority of its certificate known to this machine: docker has no option for it")
                })?;
            }
            (address, settings.patience, form, settings.limit)
        }
        _ => return Ok(None),
    };
    let limit = asked.or(own_limit).unwrap_or(LIMIT);
    let blocking = config.options.get("mode").is_none_or(|mode| mode != "non-blocking");
    let patience = Patience { blocking, ..patience };
    Ok(Some(Target { address, tls, patience, limit, form, cache: cache(&config.options)? }))
}

fn journald_form(
    container: &Container,
    tag: String,
    image: &str,
    extra: BTreeMap<String, String>,
) -> journald::Form {
    let mut fields: BTreeMap<String, String> =
        extra.into_iter().filter_map(|(name, value)| Some((journald::field(&name)?, value))).collect();
    let own = [
        ("CONTAINER_ID", container.id.get(..12).unwrap_or(&container.id)),
        ("CONTAINER_ID_FULL", &container.id),
        ("CONTAINER_NAME", &container.name),
        ("CONTAINER_TAG", &tag),
        ("SYSLOG_IDENTIFIER", &tag),
        ("IMAGE_NAME", image),
    ];
    fields.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
    journald::Form { fields, id: container.id.clone() }
}

/// A server's name as an address: the monitor could not wait for an answer.
async fn look_up(place: Place) -> Result<Address> {
    let (network, host, port) = match place {
        Place::Datagram(path) => return Ok(Address::Datagram(path)),
        Place::Stream(path) => return Ok(Address::Stream(path)),
        Place::Udp(host, port) => ("udp", host, port),
        Place::Tcp(host, port) | Place::Tls(host, port) => ("tcp", host, port),
    };
    let failed = |cause: &str| {
        Error::failed(format!("dial {network}: lookup {host}: {cause}"))
            .hint("give the log server by its address, or make its name known to this machine")
    };
    let asked = tokio::time::timeout(ANSWER, tokio::net::lookup_host((host.as_str(), port))).await;
    let found = match asked {
        Ok(Ok(mut found)) => found.next(),
        Ok(Err(cause)) => return Err(failed(&crate::error::reason(&cause))),
        Err(_) => return Err(failed("i/o timeout")),
    };
    let address = found.ok_or_else(|| failed("no such host"))?;
    Ok(if network == "udp" { Address::Udp(address) } else { Address::Tcp(address) })
}

/// docker's fluentd driver insists on a server that is there, unless it may be asynchronous.
async fn must_answer(address: &Address) -> Result<()> {
    let (name, attempt) = match address {
        Address::Tcp(address) => {
            let attempt = tokio::time::timeout(ANSWER, tokio::net::TcpStream::connect(address)).await;
            (format!("tcp {address}"), attempt.map(|done| done.map(drop)))
        }
        Address::Stream(path) => {
            let attempt = tokio::time::timeout(ANSWER, tokio::net::UnixStream::connect(path)).await;
            (format!("unix {}", path.display()), attempt.map(|done| done.map(drop)))
        }
        _ => return Ok(()),
    };
    let cause = match attempt {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(cause)) => crate::error::reason(&cause),
        Err(_) => "i/o timeout".into(),
    };
    Err(Error::failed(format!("dial {name}: connect: {cause}"))
        .hint("start fluentd first, or let the container start without it: --log-opt fluentd-async=true"))
}

/// A certificate that is wrong now will be wrong later, and messages would be lost without a word: docker too starts
/// no container then. A server that is away is another matter.
async fn must_agree(address: &Address, settings: Option<&tls::Settings>) -> Result<()> {
    let (Some(settings), &Address::Tcp(address)) = (settings, address) else { return Ok(()) };
    let tls = Tls::new(settings)?;
    let asked = tokio::task::spawn_blocking(move || tls.agrees(address, ANSWER)).await;
    asked.unwrap_or_else(|cause| Err(Error::failed(format!("tls: {cause}"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::container::inspect::container_for_tests;
    use crate::oci::request::ContainerRequest;

    #[test]
    fn tags_by_table() {
        let mut container = container_for_tests();
        container.id = "0123456789abcdef".into();
        let request = ContainerRequest { image: "busybox".into(), ..ContainerRequest::default() };
        let record = Record {
            image_id: "sha256:fedcba9876543210".into(),
            command: vec!["sleep".into(), "9".into()],
            request,
            ..Record::default()
        };
        for (text, expected) in [
            ("{{.ID}}", "0123456789ab"),
            ("{{.DaemonName}}/{{.Name}}/{{.FullID}}", "docker/web/0123456789abcdef"),
            ("{{.ImageName}}@{{.ImageID}} {{.Command}}", "busybox@fedcba987654 sleep 9"),
            ("{{upper .Name}}{{with .ContainerLabels}}{{.a}}{{end}}", "WEBb"),
            ("plain", "plain"),
        ] {
            assert_eq!(tag(&container, &record, text).unwrap(), expected, "{text}");
        }
        for text in ["{{.Nothing}}", "{{.ID"] {
            assert!(tag(&container, &record, text).is_err(), "{text}");
        }
    }
}
