//! `push`: an image to a registry, or to another machine.

use super::progress::Bars;
use super::{platform, platforms, send, told};
use crate::cli::Context;
use crate::cli::args::errors::unsupported;
use crate::cli::registry::flags::{RegistryArgs, Requests};
use crate::engine::Engine;
use crate::engine::image::{self, PushRequest, Pushed};
use crate::error::{Error, Kind, Result};
use crate::image::platform::Platform;
use crate::registry::Reference;

/// Flags of `push`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What the registry has is not sent again, and what another repository of it has is mounted from there. A push \
    that is interrupted goes on where the registry has got to.\n\nTo another machine, over the system's ssh, only blobs go \
    that its containerd lacks; the image is unpacked on arrival.\n\nExamples:\n  wharfie push registry.example/app:1\n  \
    wharfie push -a registry.example/app\n  wharfie push app:1 ssh://root@node\n  \
    wharfie push app:1 'ssh://root@node?ns=k8s.io'"
)]
pub struct Args {
    /// Push all tags of an image to the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Push content for all platforms, or nothing
    #[arg(long, conflicts_with = "platform")]
    all_platforms: bool,
    /// Also push layers that their makers do not allow to be passed on
    #[arg(long)]
    allow_nondistributable_artifacts: bool,
    /// Push the manifest of this platform as a single-platform image, without the index
    #[arg(long, value_name = "string")]
    platform: Vec<String>,
    /// Suppress verbose output
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    registry: RegistryArgs,
    /// Skip image signing (deprecated)
    #[arg(long, action = clap::ArgAction::SetFalse, hide = true)]
    disable_content_trust: bool,
    #[command(flatten)]
    nerdctl: NerdctlArgs,
    /// The image
    #[arg(value_name = "NAME[:TAG]", required = true, add = crate::cli::names::images())]
    name: String,
    /// Another machine, ssh://[user@]node[:port][/path/of/containerd.sock][?ns=NAMESPACE]
    #[arg(value_name = "ssh://NODE")]
    node: Option<String>,
}

/// What nerdctl can do at a push and this program does not.
#[derive(Debug, clap::Args)]
struct NerdctlArgs {
    /// Sign the image: none is the only way that there is
    #[arg(long, value_name = "string", hide = true)]
    sign: Option<String>,
    /// cosign's key
    #[arg(long, value_name = "string", hide = true)]
    cosign_key: Option<String>,
    /// notation's key
    #[arg(long, value_name = "string", hide = true)]
    notation_key_name: Option<String>,
    /// Make the layers ones that can be pulled lazily
    #[arg(long, hide = true)]
    estargz: bool,
    /// Address of an IPFS daemon
    #[arg(long, value_name = "string", hide = true)]
    ipfs_address: Option<String>,
    /// Give IPFS the whole image
    #[arg(long, value_name = "bool", num_args = 0..=1, require_equals = true, hide = true)]
    ipfs_ensure_image: Option<Option<String>>,
    /// The smallest layer that SOCI indexes
    #[arg(long, value_name = "int", allow_hyphen_values = true, hide = true)]
    soci_min_layer_size: Option<i64>,
    /// The span of SOCI's index
    #[arg(long, value_name = "int", allow_hyphen_values = true, hide = true)]
    soci_span_size: Option<i64>,
}

impl NerdctlArgs {
    fn check(&self) -> Result<()> {
        let given = |value: &Option<String>| value.as_deref().is_some_and(|value| !value.is_empty());
        if let Some(way) = self.sign.as_deref().filter(|way| !matches!(*way, "" | "none")) {
            return Err(unsupported(&format!("--sign {way}"), "sign with cosign or notation afterwards"));
        }
        if self.estargz {
            return Err(unsupported("--estargz", "lazily pulled layers need the stargz snapshotter"));
        }
        if given(&self.ipfs_address) {
            return Err(unsupported("--ipfs-address", "wharfie speaks to registries only"));
        }
        // Keys, sizes and IPFS' switch matter to what is refused above alone.
        Ok(())
    }
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    args.nerdctl.check()?;
    if let Some(other) = &args.node {
        // Either order: nothing else begins so.
        let mut words = [&args.name, other];
        words.sort_by_key(|word| word.starts_with("ssh://"));
        let [image, node] = words;
        if image.starts_with("ssh://") || !node.starts_with("ssh://") {
            return Err(Error::failed(format!("\"{} push\" requires 1 argument.", cx.program))
                .hint("a second one is a machine: ssh://user@node"));
        }
        let wanted = platform(args.platform.first().map(String::as_str), cx)?;
        return send::run((image, node), wanted.as_ref(), args.quiet, cx).await;
    }
    let reference = Reference::parse(&args.name).map_err(told)?;
    let is_bare = reference.tag().is_none() && reference.digest().is_none();
    if args.all_tags && !is_bare {
        return Err(Error::failed("tag can't be used with --all-tags/-a"));
    }
    let wanted = match platforms(&args.platform)?.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        _ => {
            return Err(Error::failed("more than one --platform is not supported")
                .hint("leave it out for all platforms, or call once for each"));
        }
    };
    if is_bare && !args.all_tags && !args.quiet {
        cx.ui.line("Using default tag: latest")?;
    }
    let reference = if args.all_tags { reference } else { reference.with_default_tag() };
    let mut requests = args.registry.apply(cx);
    let engine = cx.engine().await?;
    if !args.quiet {
        cx.ui.line(format_args!("The push refers to repository [{}]", reference.name()))?;
        cx.ui.flush()?;
    }
    let references =
        if args.all_tags { all_tags(&engine, &reference).await? } else { vec![reference.clone()] };
    for one in references {
        push_one(&args, (&engine, one, wanted.as_ref()), &mut requests, cx).await?;
    }
    if args.quiet {
        cx.ui.line(&reference)?;
    }
    Ok(0)
}

async fn all_tags(engine: &Engine, reference: &Reference) -> Result<Vec<Reference>> {
    let names = image::names_of(engine, reference).await?;
    if names.is_empty() {
        return Err(Error::failed(format!(
            "An image does not exist locally with the tag: {}",
            reference.familiar_name()
        ))
        .hint("`wharfie images` lists what is here; `wharfie tag` gives one more name"));
    }
    Ok(names)
}

async fn push_one(
    args: &Args,
    (engine, reference, wanted): (&Engine, Reference, Option<&Platform>),
    requests: &mut Requests,
    cx: &mut Context<'_>,
) -> Result<()> {
    let familiar = reference.familiar();
    let record = image::find(engine, &familiar).await.map_err(|error| match error.kind {
        Kind::NotFound => Error::failed(format!("tag does not exist: {familiar}"))
            .hint("`wharfie images` lists what is here; `wharfie tag` gives one more name"),
        _ => told(error),
    })?;
    let target = match wanted {
        Some(_) => image::read(&engine.containerd, &record, wanted).await.map_err(told)?.manifest_descriptor,
        None => record.target,
    };
    let request = PushRequest {
        target,
        reference,
        nondistributable: args.allow_nondistributable_artifacts,
        else_one: !args.all_platforms,
    };
    let bars = Bars::of_push(cx.ui, args.quiet);
    let pushed = requests.during(image::push(engine, &request, &bars), |line| bars.talk(line)).await;
    bars.finish();
    let Pushed { target, instead_of } = pushed.map_err(told)?;
    if let Some(tag) = request.reference.tag().filter(|_| !args.quiet) {
        cx.ui.line(format_args!("{tag}: digest: {} size: {}", target.digest(), target.size()))?;
        cx.ui.flush()?;
    }
    if let Some(index) = instead_of {
        let message = "Not all multiplatform-content is present and only the available single-platform image was pushed";
        cx.ui.say(format_args!("{message}\n{} -> {}", index.digest(), target.digest()))?;
    }
    Ok(())
}
