//! `crictl update`: change the limits of running containers.

use super::session::{Answer, Done, Session};
use crate::cri::api;
use crate::error::{Error, Result};
use crate::output::notation::quote;

/// Flags of `crictl update`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie cri update --memory 134217728 87d3992f84f74\n  \
    wharfie cri update --cpu-quota 50000 --cpu-period 100000 87d3992f84f74")]
pub(super) struct Args {
    /// (Windows only) Number of CPUs available to the container
    #[arg(long, value_name = "NUMBER", hide = true)]
    cpu_count: Option<i64>,
    /// (Windows only) Portion of CPU cycles specified as a percentage * 100
    #[arg(long, value_name = "NUMBER", hide = true)]
    cpu_maximum: Option<i64>,
    /// CPU CFS period to be used for hardcapping (in usecs). 0 to use system default
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 0, hide_default_value = true)]
    cpu_period: i64,
    /// CPU CFS hardcap limit (in usecs). Allowed cpu time in a given period
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 0, hide_default_value = true)]
    cpu_quota: i64,
    /// CPU shares (relative weight vs. other containers)
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    cpu_share: i64,
    /// CPU(s) to use
    #[arg(long, value_name = "LIST", default_value = "", hide_default_value = true)]
    cpuset_cpus: String,
    /// Memory node(s) to use
    #[arg(long, value_name = "LIST", default_value = "", hide_default_value = true)]
    cpuset_mems: String,
    /// Memory limit (in bytes)
    #[arg(long, value_name = "BYTES", default_value_t = 0, hide_default_value = true)]
    memory: i64,
    /// OOM Killer score to use
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    oom_score_adj: i64,
    /// Containers by id
    #[arg(value_name = "CONTAINER-ID")]
    ids: Vec<String>,
}

pub(super) async fn run(args: Args, session: &mut Session<'_, '_>) -> Result<Done> {
    if args.ids.is_empty() {
        return Err(Error::failed("ID cannot be empty"));
    }
    let runtime = session.runtime().await?;
    let linux = api::LinuxContainerResources {
        cpu_period: args.cpu_period,
        cpu_quota: args.cpu_quota,
        cpu_shares: args.cpu_share,
        cpuset_cpus: args.cpuset_cpus,
        cpuset_mems: args.cpuset_mems,
        memory_limit_in_bytes: args.memory,
        oom_score_adj: args.oom_score_adj,
        ..Default::default()
    };
    for id in &args.ids {
        let request = api::UpdateContainerResourcesRequest {
            container_id: id.clone(),
            linux: Some(linux.clone()),
            ..Default::default()
        };
        runtime
            .update_container_resources(request)
            .await
            .during(&format!("updating container resources for {}", quote(id)))?;
        session.cx.ui.line(id)?;
    }
    Ok(Done::Well)
}
