//! `update`: other limits and another restart policy for containers that are there.

use crate::cli::args::errors::{parse_one, unsupported};
use crate::cli::args::parse::{number, port, restart, size};
use crate::cli::args::resources::{cpuset, set};
use crate::cli::errors::{EngineResult, from_engine};
use crate::cli::exit::Failures;
use crate::cli::{Context, names};
use crate::engine::container::{Ports, Update, locate, permit, settle, update};
use crate::error::{Error, Kind, Result};
use crate::oci::request::Resources;

/// Flags of `update`.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "Examples:\n  wharfie update --cpus 1.5 --memory 512m --memory-swap 1g web\n  \
                  wharfie update --restart unless-stopped $(wharfie ps -q)\n  \
                  wharfie update --publish-rm 80 --publish-add 8081:80 web")]
pub struct Args {
    /// Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)
    #[arg(long, value_name = "uint16")]
    blkio_weight: Option<String>,
    /// Limit CPU CFS (Completely Fair Scheduler) period
    #[arg(long, value_name = "int")]
    cpu_period: Option<String>,
    /// Limit CPU CFS (Completely Fair Scheduler) quota
    #[arg(long, value_name = "int")]
    cpu_quota: Option<String>,
    /// Limit the CPU real-time period in microseconds
    #[arg(long, value_name = "int")]
    cpu_rt_period: Option<String>,
    /// Limit the CPU real-time runtime in microseconds
    #[arg(long, value_name = "int")]
    cpu_rt_runtime: Option<String>,
    /// CPU shares (relative weight)
    #[arg(short = 'c', long, value_name = "int")]
    cpu_shares: Option<String>,
    /// Number of CPUs
    #[arg(long, value_name = "decimal")]
    cpus: Option<String>,
    /// CPUs in which to allow execution (0-3, 0,1)
    #[arg(long, value_name = "string")]
    cpuset_cpus: Option<String>,
    /// MEMs in which to allow execution (0-3, 0,1)
    #[arg(long, value_name = "string")]
    cpuset_mems: Option<String>,
    /// Also a container that a kubelet manages
    #[arg(long)]
    force: bool,
    /// Kernel memory limit (refused: no kernel has it any more)
    #[arg(long, value_name = "bytes", hide = true)]
    kernel_memory: Option<String>,
    /// Memory limit
    #[arg(short, long, value_name = "bytes")]
    memory: Option<String>,
    /// Memory soft limit
    #[arg(long, value_name = "bytes")]
    memory_reservation: Option<String>,
    /// Swap limit equal to memory plus swap: -1 to enable unlimited swap
    #[arg(long, value_name = "bytes")]
    memory_swap: Option<String>,
    /// Tune container pids limit (set -1 for unlimited)
    #[arg(long, value_name = "int")]
    pids_limit: Option<String>,
    /// Publish a port, at once where the container runs
    #[arg(long, value_name = "port")]
    publish_add: Vec<String>,
    /// Take a published port back: CONTAINER_PORT[/PROTO], or with the host's part as it was published
    #[arg(long, value_name = "port")]
    publish_rm: Vec<String>,
    /// Restart policy to apply when a container exits
    #[arg(long, value_name = "string")]
    restart: Option<String>,
    /// Containers by name or id
    #[arg(required = true, value_name = "CONTAINER", add = names::containers())]
    containers: Vec<String>,
}

impl Args {
    /// What the flags ask for; zero and the empty text change nothing, as with docker.
    fn wish(&self) -> Result<Update> {
        if self.kernel_memory.is_some() {
            return Err(unsupported("--kernel-memory", "no kernel limits its own memory any more"));
        }
        let signed =
            |value: &Option<String>, flag: &str| parse_one(value.as_deref(), flag, number::signed).map(set);
        let unsigned = |value: &Option<String>, flag: &str, what: &str| match signed(value, flag)? {
            None => Ok(None),
            Some(number) => u64::try_from(number).map(Some).map_err(|_| {
                refused(Error::failed(format!("invalid {what} ({number}): value must be a positive integer")))
            }),
        };
        let bytes =
            |value: &Option<String>, flag| parse_one(value.as_deref(), flag, size::ram_bytes).map(set);
        let weight = parse_one(self.blkio_weight.as_deref(), "--blkio-weight", number::unsigned16)?;
        let swap = parse_one(self.memory_swap.as_deref(), "--memory-swap", size::ram_bytes_or_unlimited)?;
        let resources = Resources {
            blkio_weight: weight.filter(|weight| *weight != 0),
            cpu_period: unsigned(&self.cpu_period, "--cpu-period", "CPU period")?,
            cpu_quota: signed(&self.cpu_quota, "--cpu-quota")?,
            cpu_rt_period: unsigned(&self.cpu_rt_period, "--cpu-rt-period", "CPU real-time period")?,
            cpu_rt_runtime: signed(&self.cpu_rt_runtime, "--cpu-rt-runtime")?,
            cpu_shares: unsigned(&self.cpu_shares, "-c, --cpu-shares", "CPU shares")?,
            nano_cpus: set(parse_one(self.cpus.as_deref(), "--cpus", size::nano_cpus)?),
            cpuset_cpus: cpuset(self.cpuset_cpus.clone(), "cpus").map_err(refused)?,
            cpuset_mems: cpuset(self.cpuset_mems.clone(), "mems").map_err(refused)?,
            memory: bytes(&self.memory, "-m, --memory")?,
            memory_reservation: bytes(&self.memory_reservation, "--memory-reservation")?,
            memory_swap: set(swap),
            pids_limit: signed(&self.pids_limit, "--pids-limit")?,
            ..Resources::default()
        };
        let policy = self.restart.as_deref().filter(|policy| !policy.is_empty());
        let restart = policy.map(restart::policy).transpose().map_err(Error::failed).told()?;
        let ports = |texts: &[String]| -> Result<Vec<_>> {
            let all =
                texts.iter().map(|text| port::publish(text)).collect::<std::result::Result<Vec<_>, _>>();
            Ok(all.map_err(Error::usage)?.concat())
        };
        let ports = Ports { add: ports(&self.publish_add)?, remove: ports(&self.publish_rm)? };
        Ok(Update { resources, restart, ports })
    }

    /// Whether any flag was given, with whatever value.
    fn asks(&self) -> bool {
        let flags = [
            &self.blkio_weight,
            &self.cpu_period,
            &self.cpu_quota,
            &self.cpu_rt_period,
            &self.cpu_rt_runtime,
            &self.cpu_shares,
            &self.cpus,
            &self.cpuset_cpus,
            &self.cpuset_mems,
            &self.kernel_memory,
            &self.memory,
            &self.memory_reservation,
            &self.memory_swap,
            &self.pids_limit,
            &self.restart,
        ];
        let ports = [&self.publish_add, &self.publish_rm];
        flags.iter().any(|flag| flag.is_some()) || ports.iter().any(|texts| !texts.is_empty())
    }
}

/// What docker's daemon refuses is no fault of the command line's form.
fn refused(error: Error) -> Error {
    let kind = if error.kind == Kind::Usage { Kind::Failed } else { error.kind };
    from_engine(Error { kind, ..error })
}

/// Run the verb: one container after the other, as docker does.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    if !args.asks() {
        return Err(Error::failed("you must provide one or more flags when using this command")
            .hint("for example --memory 512m, --cpus 1.5 or --restart always"));
    }
    let wish = args.wish()?;
    let engine = cx.engine().await?;
    settle(&engine).await?;
    let mut failures = Failures::default();
    for reference in &args.containers {
        let updated = async {
            let (engine, mut container) = locate(&engine, reference).await?;
            permit(&container, "update", Some(args.force))?;
            update(&engine, &mut container, &wish).await
        };
        match updated.await {
            Ok(updated) => {
                cx.ui.line(reference)?;
                for warning in updated.warnings {
                    cx.ui.warn(warning)?;
                }
            }
            Err(error) => failures.add(cx, refused(error))?,
        }
    }
    Ok(failures.code())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_become_a_wish() {
        let given = |text: &str| Some(text.to_owned());
        let args = Args {
            cpus: given("1.5"),
            memory: given("64m"),
            memory_swap: given("-1"),
            pids_limit: given("0"),
            blkio_weight: given("300"),
            restart: given("on-failure:3"),
            ..Args::default()
        };
        let wish = args.wish().unwrap();
        assert_eq!(
            wish.resources,
            Resources {
                nano_cpus: Some(1_500_000_000),
                memory: Some(64 << 20),
                memory_swap: Some(-1),
                blkio_weight: Some(300),
                ..Resources::default()
            }
        );
        assert_eq!(wish.restart, Some(crate::oci::request::RestartPolicy::OnFailure(3)));
        for (args, message) in [
            (
                Args { kernel_memory: given("1m"), ..Args::default() },
                "--kernel-memory is not supported: no kernel limits its own memory any more",
            ),
            (
                Args { cpu_shares: given("-1"), ..Args::default() },
                "Error response from daemon: invalid CPU shares (-1): value must be a positive integer",
            ),
            (
                Args { cpuset_cpus: given("x"), ..Args::default() },
                "Error response from daemon: Invalid value x for cpuset cpus",
            ),
            (
                Args { restart: given("sometimes"), ..Args::default() },
                "Error response from daemon: invalid restart policy: unknown policy 'sometimes'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
            ),
        ] {
            assert_eq!(args.wish().unwrap_err().message, message);
        }
        assert!(Args { pids_limit: given("0"), ..Args::default() }.asks() && !Args::default().asks());
    }
}
