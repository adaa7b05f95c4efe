//! `volume create`: make a volume.

use std::collections::BTreeMap;

use crate::cli::Context;
use crate::cli::args::errors::invalid;
use crate::cli::args::parse::keyvalue;
use crate::cli::errors::{EngineResult, of_request};
use crate::engine::container::random_id;
use crate::engine::volume::{Volume, ensure, sweep};
use crate::error::{Error, Kind, Result};

/// Flags of `volume create`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie volume create data\n  \
    wharfie volume create -o type=nfs -o device=:/export -o o=addr=192.0.2.1,rw shared\n  \
    wharfie volume create -o type=tmpfs -o device=tmpfs -o o=size=100m scratch\n  \
    wharfie volume create -o type=none -o device=/srv/data -o o=bind here")]
pub struct Args {
    /// Specify volume driver name
    #[arg(short, long, value_name = "string", default_value = "local")]
    driver: String,
    /// Set metadata for a volume
    #[arg(long, value_name = "list")]
    label: Vec<String>,
    /// Set driver specific options
    #[arg(short, long, value_name = "map")]
    opt: Vec<String>,
    /// Specify volume name
    #[arg(long, value_name = "string", hide = true)]
    name: Option<String>,
    #[command(flatten)]
    cluster: Cluster,
    /// The new volume's name; without one it is anonymous and called by 64 letters
    #[arg(value_name = "VOLUME")]
    volume: Option<String>,
}

/// Flags that only a swarm has a use for.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Cluster volumes (refused: there is no swarm)")]
struct Cluster {
    /// Cluster Volume availability ("active", "pause", "drain")
    #[arg(long, value_name = "string")]
    availability: Option<String>,
    /// Cluster Volume group
    #[arg(long, value_name = "string")]
    group: Option<String>,
    /// Minimum size of the Cluster Volume in bytes
    #[arg(long, value_name = "bytes")]
    limit_bytes: Option<String>,
    /// Maximum size of the Cluster Volume in bytes
    #[arg(long, value_name = "bytes")]
    required_bytes: Option<String>,
    /// Cluster Volume access scope ("single", "multi")
    #[arg(long, value_name = "string")]
    scope: Option<String>,
    /// Cluster Volume secrets
    #[arg(long, value_name = "map")]
    secret: Vec<String>,
    /// Cluster Volume access sharing ("none", "readonly", "onewriter", "all")
    #[arg(long, value_name = "string")]
    sharing: Option<String>,
    /// A topology that the Cluster Volume would be preferred in
    #[arg(long, value_name = "list")]
    topology_preferred: Vec<String>,
    /// A topology that the Cluster Volume must be accessible from
    #[arg(long, value_name = "list")]
    topology_required: Vec<String>,
    /// Cluster Volume access type ("mount", "block")
    #[arg(long = "type", value_name = "string")]
    kind: Option<String>,
}

impl Cluster {
    fn is_asked_for(&self) -> bool {
        let one = [
            &self.availability,
            &self.group,
            &self.limit_bytes,
            &self.required_bytes,
            &self.scope,
            &self.sharing,
            &self.kind,
        ];
        let many = [&self.secret, &self.topology_preferred, &self.topology_required];
        one.into_iter().any(Option::is_some) || many.into_iter().any(|list| !list.is_empty())
    }
}

/// docker's answer where there is no swarm.
pub(super) fn no_swarm() -> Error {
    Error::failed(
        "Error response from daemon: This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.",
    )
    .hint("there are no cluster volumes here: leave those flags out for a volume of this machine")
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let given = match (args.name.filter(|name| !name.is_empty()), args.volume) {
        (Some(_), Some(_)) => {
            return Err(Error::failed(
                "conflicting options: cannot specify a volume-name through both --name and as a positional arg",
            ));
        }
        (one, other) => one.or(other).filter(|name| !name.is_empty()),
    };
    let mut labels = BTreeMap::new();
    for text in &args.label {
        let (key, value) = keyvalue::label(text).map_err(|cause| invalid(text, "--label", cause))?;
        labels.insert(key, value);
    }
    let options = options(&args.opt)?;
    if args.cluster.is_asked_for() {
        return Err(no_swarm());
    }
    let anonymous = given.is_none();
    let name = given.map_or_else(random_id, Ok)?;
    if !matches!(args.driver.as_str(), "" | "local") {
        let driver = args.driver;
        return Err(Error::failed(format!(
            "Error response from daemon: create {name}: error looking up volume plugin {driver}: plugin {driver:?} not found"
        ))
        .hint("only the local volume driver exists without a docker daemon and its plugins"));
    }
    let engine = cx.engine().await?;
    sweep(&engine).told()?;
    let wanted = Volume { name, labels, options, anonymous, ..Volume::default() };
    let (volume, made) = ensure(&engine, &wanted, None).map_err(|error| named(error, &wanted.name)).told()?;
    let differs =
        |new: &BTreeMap<String, String>, old: &BTreeMap<String, String>| !new.is_empty() && new != old;
    if !made && (differs(&wanted.labels, &volume.labels) || differs(&wanted.options, &volume.options)) {
        cx.ui
            .warn(format_args!("volume {} is there already and keeps its labels and options", volume.name))?;
    }
    cx.ui.line(volume.name)?;
    Ok(0)
}

/// docker leads what its volume store refuses with the act and the name.
fn named(error: Error, name: &str) -> Error {
    match error.kind {
        Kind::Usage | Kind::Failed => {
            of_request(Error { kind: Kind::Failed, ..error.context(format!("create {name}")) })
        }
        _ => error,
    }
}

fn options(texts: &[String]) -> Result<BTreeMap<String, String>> {
    let mut options = BTreeMap::new();
    for text in texts {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        options.insert(key.to_owned(), value.to_owned());
    }
    Ok(options)
}
