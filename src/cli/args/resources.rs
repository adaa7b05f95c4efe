//! Flags about limits and devices.

use clap::Args;

use super::errors::{invalid, parse_all, parse_one, refused, windows_only};
use super::parse::{device, gpu, limit, number, size};
use super::process::given;
use crate::oci::request::{ContainerRequest, NamedDevices, Resources};
use crate::{Error, Result};

/// The least memory with which docker starts a container.
const LEAST_MEMORY: i64 = 6 << 20;

/// `--memory`, `--cpus`, `--device`, `--ulimit` and their kin.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Resources")]
pub struct ResourceArgs {
    /// Memory limit
    #[arg(short, long, value_name = "bytes")]
    pub memory: Option<String>,
    /// Memory soft limit
    #[arg(long, value_name = "bytes")]
    pub memory_reservation: Option<String>,
    /// Swap limit equal to memory plus swap: '-1' to enable unlimited swap
    #[arg(long, value_name = "bytes")]
    pub memory_swap: Option<String>,
    /// Tune container memory swappiness (0 to 100)
    #[arg(long, value_name = "int")]
    pub memory_swappiness: Option<String>,
    /// Kernel memory limit
    #[arg(long, value_name = "bytes", hide = true)]
    pub kernel_memory: Option<String>,
    /// Disable OOM Killer
    #[arg(long)]
    pub oom_kill_disable: bool,
    /// Tune host's OOM preferences (-1000 to 1000)
    #[arg(long, value_name = "int")]
    pub oom_score_adj: Option<String>,
    /// Number of CPUs
    #[arg(long, value_name = "decimal")]
    pub cpus: Option<String>,
    /// CPU shares (relative weight)
    #[arg(short = 'c', long, value_name = "int")]
    pub cpu_shares: Option<String>,
    /// Limit CPU CFS (Completely Fair Scheduler) period
    #[arg(long, value_name = "int")]
    pub cpu_period: Option<String>,
    /// Limit CPU CFS (Completely Fair Scheduler) quota
    #[arg(long, value_name = "int")]
    pub cpu_quota: Option<String>,
    /// Limit CPU real-time period in microseconds
    #[arg(long, value_name = "int")]
    pub cpu_rt_period: Option<String>,
    /// Limit CPU real-time runtime in microseconds
    #[arg(long, value_name = "int")]
    pub cpu_rt_runtime: Option<String>,
    /// CPUs in which to allow execution (0-3, 0,1)
    #[arg(long, value_name = "string")]
    pub cpuset_cpus: Option<String>,
    /// MEMs in which to allow execution (0-3, 0,1)
    #[arg(long, value_name = "string")]
    pub cpuset_mems: Option<String>,
    /// CPU count (Windows only)
    #[arg(long, value_name = "int")]
    pub cpu_count: Option<String>,
    /// CPU percent (Windows only)
    #[arg(long, value_name = "int")]
    pub cpu_percent: Option<String>,
    /// Tune container pids limit (set -1 for unlimited)
    #[arg(long, value_name = "int")]
    pub pids_limit: Option<String>,
    /// Block IO (relative weight), between 10 and 1000, or 0 to disable
    #[arg(long, value_name = "uint16")]
    pub blkio_weight: Option<String>,
    /// Block IO weight (relative device weight)
    #[arg(long, value_name = "list")]
    pub blkio_weight_device: Vec<String>,
    /// Limit read rate (bytes per second) from a device
    #[arg(long, value_name = "list")]
    pub device_read_bps: Vec<String>,
    /// Limit read rate (IO per second) from a device
    #[arg(long, value_name = "list")]
    pub device_read_iops: Vec<String>,
    /// Limit write rate (bytes per second) to a device
    #[arg(long, value_name = "list")]
    pub device_write_bps: Vec<String>,
    /// Limit write rate (IO per second) to a device
    #[arg(long, value_name = "list")]
    pub device_write_iops: Vec<String>,
    /// Ulimit options
    #[arg(long, value_name = "ulimit")]
    pub ulimit: Vec<String>,
    /// Add a host device to the container
    #[arg(long, value_name = "list")]
    pub device: Vec<String>,
    /// Add a rule to the cgroup allowed devices list
    #[arg(long, value_name = "list")]
    pub device_cgroup_rule: Vec<String>,
    /// GPU devices to add to the container ('all' to pass all GPUs)
    #[arg(long, value_name = "gpu-request")]
    pub gpus: Vec<String>,
}

impl ResourceArgs {
    /// Fills the request's part.
    ///
    /// # Errors
    /// A value that does not parse or is out of range, limits that contradict one another, what cannot be done.
    pub fn apply(self, request: &mut ContainerRequest) -> Result<()> {
        self.reject()?;
        let resources = &mut request.resources;
        self.memory_limits(resources)?;
        self.cpu_limits(resources)?;
        self.block_limits(resources)?;
        let pids = parse_one(self.pids_limit.as_deref(), "--pids-limit", number::signed)?;
        resources.pids_limit = pids;
        for (name, soft, hard) in parse_all(&self.ulimit, "--ulimit", limit::ulimit)? {
            // As in docker, a later one of the same name wins.
            resources.ulimits.retain(|(earlier, ..)| *earlier != name);
            resources.ulimits.push((name, soft, hard));
        }
        for text in &self.gpus {
            resources.device_requests.push(gpu::gpus(text).map_err(|cause| invalid(text, "--gpus", cause))?);
        }
        let (named, nodes): (Vec<&String>, Vec<&String>) =
            self.device.iter().partition(|text| gpu::is_named_device(text));
        if !named.is_empty() {
            resources.device_requests.push(NamedDevices {
                driver: "cdi".into(),
                ids: named.into_iter().cloned().collect(),
                ..NamedDevices::default()
            });
        }
        for text in nodes {
            resources.devices.push(device::device(text).map_err(Error::usage)?);
        }
        parse_all(&self.device_cgroup_rule, "--device-cgroup-rule", device::cgroup_rule)?;
        resources.device_cgroup_rules = self.device_cgroup_rule;
        Ok(())
    }

    /// The flags that docker ignores or that only warn, for stderr.
    pub fn warnings(&self) -> Vec<String> {
        self.kernel_memory
            .iter()
            .map(|_| {
                "Flag --kernel-memory has been deprecated, and no longer supported by the kernel".to_owned()
            })
            .collect()
    }

    fn reject(&self) -> Result<()> {
        for (flag, value) in [("--cpu-count", &self.cpu_count), ("--cpu-percent", &self.cpu_percent)] {
            if parse_one(value.as_deref(), flag, number::signed)?.is_some_and(|value| value != 0) {
                return Err(windows_only(flag));
            }
        }
        parse_one(self.kernel_memory.as_deref(), "--kernel-memory", size::ram_bytes)?;
        Ok(())
    }

    fn memory_limits(&self, resources: &mut Resources) -> Result<()> {
        let memory = set(parse_one(self.memory.as_deref(), "-m, --memory", size::ram_bytes)?);
        let reservation =
            set(parse_one(self.memory_reservation.as_deref(), "--memory-reservation", size::ram_bytes)?);
        let swap =
            set(parse_one(self.memory_swap.as_deref(), "--memory-swap", size::ram_bytes_or_unlimited)?);
        let swappiness = parse_one(self.memory_swappiness.as_deref(), "--memory-swappiness", number::signed)?;
        if memory.is_some_and(|memory| memory < LEAST_MEMORY) {
            return Err(refused("Minimum memory limit allowed is 6MB"));
        }
        if reservation.is_some_and(|reservation| reservation < LEAST_MEMORY) {
            return Err(refused("Minimum memory reservation allowed is 6MB"));
        }
        match (memory, swap) {
            (Some(memory), Some(swap)) if swap > 0 && swap < memory => {
                return Err(refused(
                    "Minimum memoryswap limit should be larger than memory limit, see usage",
                ));
            }
            (None, Some(swap)) if swap > 0 => {
                return Err(refused(
                    "You should always set the Memory limit when using Memoryswap limit, see usage",
                ));
            }
            _ => {}
        }
        if let (Some(memory), Some(reservation)) = (memory, reservation)
            && memory < reservation
        {
            return Err(refused(
                "Minimum memory limit can not be less than memory reservation limit, see usage",
            ));
        }
        resources.memory_swappiness = match swappiness {
            None | Some(-1) => None,
            Some(value) => {
                Some(u64::try_from(value).ok().filter(|value| *value <= 100).ok_or_else(|| {
                    Error::usage(format!("invalid value: {value}. Valid memory swappiness range is 0-100"))
                })?)
            }
        };
        resources.memory = memory;
        resources.memory_reservation = reservation;
        // docker's default: as much swap again as memory.
        resources.memory_swap = swap.or_else(|| memory.map(|memory| memory.saturating_mul(2)));
        resources.oom_kill_disable = self.oom_kill_disable;
        let score = set(parse_one(self.oom_score_adj.as_deref(), "--oom-score-adj", number::signed)?);
        resources.oom_score_adj = match score {
            None => None,
            Some(score) => {
                Some(i32::try_from(score).ok().filter(|score| (-1000..=1000).contains(score)).ok_or_else(
                    || refused(format!("Invalid value {score}, range for oom score adj is [-1000, 1000]")),
                )?)
            }
        };
        Ok(())
    }

    fn cpu_limits(&self, resources: &mut Resources) -> Result<()> {
        let number =
            |value: &Option<String>, flag| parse_one(value.as_deref(), flag, number::signed).map(set);
        let nano = set(parse_one(self.cpus.as_deref(), "--cpus", size::nano_cpus)?);
        let period = number(&self.cpu_period, "--cpu-period")?;
        let quota = number(&self.cpu_quota, "--cpu-quota")?;
        if nano.is_some_and(|nano| nano < 10_000_000) {
            return Err(refused("Range of CPUs is from 0.01 to the number of CPUs that are available"));
        }
        for (other, name) in [(period, "CPU Period"), (quota, "CPU Quota")] {
            if nano.is_some() && other.is_some() {
                return Err(refused(format!(
                    "Conflicting options: Nano CPUs and {name} cannot both be set."
                )));
            }
        }
        if period.is_some_and(|period| !(1_000..=1_000_000).contains(&period)) {
            return Err(refused(
                "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
            ));
        }
        if quota.is_some_and(|quota| quota > 0 && quota < 1_000) {
            return Err(refused("CPU cfs quota can not be less than 1ms (i.e. 1000)"));
        }
        let unsigned = |value: Option<i64>, name: &str| match value {
            None => Ok(None),
            Some(value) => u64::try_from(value)
                .map(Some)
                .map_err(|_| refused(format!("invalid {name} ({value}): value must be a positive integer"))),
        };
        resources.nano_cpus = nano;
        resources.cpu_period = unsigned(period, "CPU period")?;
        resources.cpu_quota = quota;
        resources.cpu_shares = unsigned(number(&self.cpu_shares, "-c, --cpu-shares")?, "CPU shares")?;
        resources.cpu_rt_period =
            unsigned(number(&self.cpu_rt_period, "--cpu-rt-period")?, "CPU real-time period")?;
        resources.cpu_rt_runtime = number(&self.cpu_rt_runtime, "--cpu-rt-runtime")?;
        if let (Some(runtime), Some(period)) = (resources.cpu_rt_runtime, resources.cpu_rt_period)
            && u64::try_from(runtime).is_ok_and(|runtime| runtime > period)
        {
            return Err(refused("cpu real-time runtime cannot be higher than cpu real-time period"));
        }
        resources.cpuset_cpus = cpuset(self.cpuset_cpus.clone(), "cpus")?;
        resources.cpuset_mems = cpuset(self.cpuset_mems.clone(), "mems")?;
        Ok(())
    }

    fn block_limits(&self, resources: &mut Resources) -> Result<()> {
        let weight = parse_one(self.blkio_weight.as_deref(), "--blkio-weight", number::unsigned16)?;
        let weight = weight.filter(|weight| *weight != 0);
        if weight.is_some_and(|weight| !(10..=1000).contains(&weight)) {
            return Err(refused("Range of blkio weight is from 10 to 1000"));
        }
        resources.blkio_weight = weight;
        resources.blkio_weight_device =
            parse_all(&self.blkio_weight_device, "--blkio-weight-device", limit::weight)?;
        resources.device_read_bps =
            parse_all(&self.device_read_bps, "--device-read-bps", limit::bytes_per_second)?;
        resources.device_write_bps =
            parse_all(&self.device_write_bps, "--device-write-bps", limit::bytes_per_second)?;
        resources.device_read_iops =
            parse_all(&self.device_read_iops, "--device-read-iops", limit::operations_per_second)?;
        resources.device_write_iops =
            parse_all(&self.device_write_iops, "--device-write-iops", limit::operations_per_second)?;
        Ok(())
    }
}

/// docker's zero is the same as not given.
pub(in crate::cli) fn set(value: Option<i64>) -> Option<i64> {
    value.filter(|value| *value != 0)
}

/// `0-2,4`: numbers and ranges.
pub(in crate::cli) fn cpuset(text: Option<String>, what: &str) -> Result<Option<String>> {
    let Some(text) = given(text) else { return Ok(None) };
    let number =
        |text: &str| !text.is_empty() && text.len() < 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    let valid = text.split(',').all(|part| match part.split_once('-') {
        Some((first, last)) => number(first) && number(last),
        None => number(part),
    });
    if valid { Ok(Some(text)) } else { Err(refused(format!("Invalid value {text} for cpuset {what}"))) }
}
