//! Limits on CPU, memory, processes and block devices: checked and completed as docker does, then told in the
//! words of the runtime specification, which serve both versions of control groups.

use std::collections::BTreeMap;

use oci_spec::runtime::{
    LinuxBlockIoBuilder, LinuxCpuBuilder, LinuxDeviceCgroup, LinuxMemoryBuilder, LinuxPidsBuilder,
    LinuxResources, LinuxResourcesBuilder, LinuxThrottleDevice, LinuxThrottleDeviceBuilder,
    LinuxWeightDeviceBuilder,
};

use super::built;
use super::request::Resources;
use crate::sys::host::Host;
use crate::{Error, Result};

const MIN_MEMORY: i64 = 6 * 1024 * 1024;
const MIN_SHARES: u64 = 2;
const MAX_SHARES: u64 = 262_144;
/// docker's period for `--cpus`, in microseconds.
const PERIOD: u64 = 100_000;

/// Numbers of the block devices that the request names, by path: major and minor.
pub type BlockDevices = BTreeMap<String, (u32, u32)>;

/// Checks `wanted` in docker's words, fills in docker's defaults and drops what this machine cannot limit.
/// Gives the settled limits, and a warning in docker's words for each that was dropped.
pub fn settle(wanted: &Resources, host: &Host) -> Result<(Resources, Vec<String>)> {
    let mut settled = wanted.clone();
    let mut warnings = Vec::new();
    settle_memory(&mut settled, host, &mut warnings)?;
    settle_cpu(&mut settled, host, &mut warnings)?;
    settle_cpuset(&mut settled, host, &mut warnings)?;
    settle_blkio(&mut settled, host, &mut warnings)?;
    if settled.pids_limit.is_some() && !host.controllers.pids {
        if settled.pids_limit > Some(0) {
            warnings.push(discarded("PIDs limit capabilities or the cgroup is not mounted. PIDs limit"));
        }
        settled.pids_limit = None;
    }
    Ok((settled, warnings))
}

fn discarded(what: &str) -> String {
    format!("Your kernel does not support {what} discarded.")
}

fn settle_memory(settled: &mut Resources, host: &Host, warnings: &mut Vec<String>) -> Result<()> {
    let can = host.controllers;
    let none_if_zero = |limit: Option<i64>| limit.filter(|limit| *limit != 0);
    settled.memory = none_if_zero(settled.memory);
    settled.memory_swap = none_if_zero(settled.memory_swap);
    settled.memory_reservation = none_if_zero(settled.memory_reservation);
    if settled.memory.is_some_and(|memory| memory < MIN_MEMORY) {
        return Err(Error::usage("Minimum memory limit allowed is 6MB"));
    }
    if settled.memory.is_some() && !can.memory {
        warnings.push(
            "Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded."
                .into(),
        );
        settled.memory = None;
        settled.memory_swap = None;
    }
    match (settled.memory, settled.memory_swap) {
        (Some(memory), Some(swap)) if swap > 0 && swap < memory => {
            return Err(Error::usage(
                "Minimum memoryswap limit should be larger than memory limit, see usage",
            ));
        }
        (None, Some(swap)) if swap > 0 => {
            return Err(Error::usage(
                "You should always set the Memory limit when using Memoryswap limit, see usage",
            ));
        }
        (Some(memory), swap) if !can.swap => {
            if swap != Some(-1) && memory > 0 {
                warnings.push(
                    "Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap."
                        .into(),
                );
            }
            settled.memory_swap = Some(-1);
        }
        (Some(memory), None) => settled.memory_swap = Some(memory.saturating_mul(2)),
        _ => {}
    }
    if let Some(swappiness) = settled.memory_swappiness {
        if swappiness > 100 {
            return Err(Error::usage(format!(
                "Invalid value: {swappiness}, valid memory swappiness range is 0-100"
            )));
        }
        if !can.swappiness {
            warnings.push(discarded(
                "memory swappiness capabilities or the cgroup is not mounted. Memory swappiness",
            ));
            settled.memory_swappiness = None;
        }
    }
    if let Some(reservation) = settled.memory_reservation {
        if reservation < MIN_MEMORY {
            return Err(Error::usage("Minimum memory reservation allowed is 6MB"));
        }
        if settled.memory.is_some_and(|memory| memory < reservation) {
            return Err(Error::usage(
                "Minimum memory limit can not be less than memory reservation limit, see usage",
            ));
        }
        if !can.memory {
            warnings
                .push(discarded("memory soft limit capabilities or the cgroup is not mounted. Limitation"));
            settled.memory_reservation = None;
        }
    }
    if settled.oom_kill_disable && !can.oom_kill_disable {
        warnings.push("Your kernel does not support OomKillDisable. OomKillDisable discarded.".into());
        settled.oom_kill_disable = false;
    }
    if settled.oom_kill_disable && settled.memory.is_none() {
        warnings.push(
            "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources."
                .into(),
        );
    }
    Ok(())
}

fn settle_cpu(settled: &mut Resources, host: &Host, warnings: &mut Vec<String>) -> Result<()> {
    settled.nano_cpus = settled.nano_cpus.filter(|nano| *nano != 0);
    settled.cpu_period = settled.cpu_period.filter(|period| *period != 0);
    settled.cpu_quota = settled.cpu_quota.filter(|quota| *quota != 0);
    settled.cpu_shares = settled.cpu_shares.filter(|shares| *shares != 0);
    if let Some(nano) = settled.nano_cpus {
        if settled.cpu_period.is_some() {
            return Err(Error::usage("Conflicting options: Nano CPUs and CPU Period cannot both be set"));
        }
        if settled.cpu_quota.is_some_and(|quota| quota > 0) {
            return Err(Error::usage("Conflicting options: Nano CPUs and CPU Quota cannot both be set"));
        }
        if !host.controllers.cpu {
            return Err(Error::failed(
                "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted",
            ));
        }
        if nano < 0 || nano > i64::from(host.cpus).saturating_mul(1_000_000_000) {
            return Err(Error::usage(format!(
                "Range of CPUs is from 0.01 to {0}.00, as there are only {0} CPUs available",
                host.cpus
            )));
        }
    }
    if let Some(shares) = &mut settled.cpu_shares {
        if host.controllers.cpu {
            *shares = (*shares).clamp(MIN_SHARES, MAX_SHARES);
        } else {
            warnings.push(discarded("CPU shares or the cgroup is not mounted. Shares"));
            settled.cpu_shares = None;
        }
    }
    if settled.cpu_period.is_some_and(|period| !(1000..=1_000_000).contains(&period)) {
        return Err(Error::usage(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ));
    }
    if settled.cpu_quota.is_some_and(|quota| quota > 0 && quota < 1000) {
        return Err(Error::usage("CPU cfs quota can not be less than 1ms (i.e. 1000)"));
    }
    if (settled.cpu_period.is_some() || settled.cpu_quota.is_some()) && !host.controllers.cpu {
        warnings.push(discarded("CPU CFS scheduler. CPU period/quota"));
        settled.cpu_period = None;
        settled.cpu_quota = None;
    }
    Ok(())
}

fn settle_cpuset(settled: &mut Resources, host: &Host, warnings: &mut Vec<String>) -> Result<()> {
    let given = |set: &Option<String>| set.clone().filter(|set| !set.is_empty());
    settled.cpuset_cpus = given(&settled.cpuset_cpus);
    settled.cpuset_mems = given(&settled.cpuset_mems);
    for (set, available, short, long) in [
        (&settled.cpuset_cpus, &host.cpuset_cpus, "cpus", "CPUs"),
        (&settled.cpuset_mems, &host.cpuset_mems, "mems", "memory nodes"),
    ] {
        let Some(set) = set else { continue };
        let wanted =
            ranges(set).ok_or_else(|| Error::usage(format!("Invalid value {set} for cpuset {short}")))?;
        let there = ranges(available).unwrap_or_default();
        let covered = wanted.iter().all(|(first, last)| {
            let mut next = *first;
            // The ranges of the kernel are sorted: one walk along them covers each wanted range or does not.
            for (from, to) in &there {
                if *from <= next && next <= *to {
                    next = to.saturating_add(1);
                }
            }
            next > *last
        });
        if host.controllers.cpuset && !available.is_empty() && !covered {
            return Err(Error::usage(format!(
                "Requested {long} are not available - requested {set}, available: {available}"
            )));
        }
    }
    if (settled.cpuset_cpus.is_some() || settled.cpuset_mems.is_some()) && !host.controllers.cpuset {
        warnings.push(discarded("cpuset or the cgroup is not mounted. Cpuset"));
        settled.cpuset_cpus = None;
        settled.cpuset_mems = None;
    }
    Ok(())
}

/// The ranges of a list such as `0-2,4`; None where it is not one.
fn ranges(list: &str) -> Option<Vec<(u32, u32)>> {
    const MOST: u32 = 8192;
    list.split(',')
        .map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            (first <= last && last < MOST).then_some((first, last))
        })
        .collect()
}

fn settle_blkio(settled: &mut Resources, host: &Host, warnings: &mut Vec<String>) -> Result<()> {
    let can = host.controllers;
    settled.blkio_weight = settled.blkio_weight.filter(|weight| *weight != 0);
    let weights = settled.blkio_weight_device.iter().map(|(_, weight)| weight).chain(&settled.blkio_weight);
    for weight in weights {
        if !(10..=1000).contains(weight) {
            return Err(Error::usage("Range of blkio weight is from 10 to 1000"));
        }
    }
    if settled.blkio_weight.is_some() && !can.blkio_weight {
        warnings.push(discarded("Block I/O weight or the cgroup is not mounted. Weight"));
        settled.blkio_weight = None;
    }
    if !settled.blkio_weight_device.is_empty() && !can.blkio_weight {
        warnings.push(discarded("Block I/O weight_device or the cgroup is not mounted. Weight-device"));
        settled.blkio_weight_device.clear();
    }
    for (rates, lead, tail) in [
        (&mut settled.device_read_bps, "BPS Block I/O read limit", "Block I/O BPS read limit"),
        (&mut settled.device_write_bps, "BPS Block I/O write limit", "Block I/O BPS write limit"),
        (&mut settled.device_read_iops, "IOPS Block read limit", "Block I/O IOPS read limit"),
        (&mut settled.device_write_iops, "IOPS Block write limit", "Block I/O IOPS write limit"),
    ] {
        if !rates.is_empty() && !can.blkio {
            warnings.push(discarded(&format!("{lead} or the cgroup is not mounted. {tail}")));
            rates.clear();
        }
    }
    Ok(())
}

/// The specification's form of settled limits.
pub fn in_spec(
    settled: &Resources,
    block_devices: &BlockDevices,
    devices: Vec<LinuxDeviceCgroup>,
) -> Result<LinuxResources> {
    let mut memory = LinuxMemoryBuilder::default();
    if let Some(limit) = settled.memory {
        memory = memory.limit(limit);
    }
    if let Some(swap) = settled.memory_swap.filter(|swap| *swap > 0) {
        memory = memory.swap(swap);
    }
    if let Some(reservation) = settled.memory_reservation {
        memory = memory.reservation(reservation);
    }
    if let Some(swappiness) = settled.memory_swappiness {
        memory = memory.swappiness(swappiness);
    }
    if settled.oom_kill_disable {
        memory = memory.disable_oom_killer(true);
    }
    let mut resources = LinuxResourcesBuilder::default()
        .devices(devices)
        .memory(built(memory.build())?)
        .cpu(cpu(settled)?)
        .block_io(block_io(settled, block_devices)?);
    if let Some(limit) = settled.pids_limit {
        let limit = if limit > 0 { limit } else { -1 };
        resources = resources.pids(built(LinuxPidsBuilder::default().limit(limit).build())?);
    }
    built(resources.build())
}

fn cpu(settled: &Resources) -> Result<oci_spec::runtime::LinuxCpu> {
    let mut cpu = LinuxCpuBuilder::default();
    if let Some(shares) = settled.cpu_shares {
        cpu = cpu.shares(shares);
    }
    if let Some(nano) = settled.nano_cpus {
        cpu = cpu.period(PERIOD).quota(nano.saturating_mul(PERIOD as i64) / 1_000_000_000);
    }
    if let Some(period) = settled.cpu_period {
        cpu = cpu.period(period);
    }
    if let Some(quota) = settled.cpu_quota {
        cpu = cpu.quota(quota);
    }
    if let Some(period) = settled.cpu_rt_period.filter(|period| *period != 0) {
        cpu = cpu.realtime_period(period);
    }
    if let Some(runtime) = settled.cpu_rt_runtime.filter(|runtime| *runtime != 0) {
        cpu = cpu.realtime_runtime(runtime);
    }
    if let Some(cpus) = &settled.cpuset_cpus {
        cpu = cpu.cpus(cpus.clone());
    }
    if let Some(mems) = &settled.cpuset_mems {
        cpu = cpu.mems(mems.clone());
    }
    built(cpu.build())
}

fn block_io(settled: &Resources, numbers: &BlockDevices) -> Result<oci_spec::runtime::LinuxBlockIo> {
    let number = |path: &str| {
        numbers.get(path).map(|(major, minor)| (i64::from(*major), i64::from(*minor))).ok_or_else(|| {
            Error::failed(format!("stat {path}: no such device")).hint("name a block device of the host")
        })
    };
    let throttle = |rates: &[(String, u64)]| -> Result<Vec<LinuxThrottleDevice>> {
        rates
            .iter()
            .map(|(path, rate)| {
                let (major, minor) = number(path)?;
                built(LinuxThrottleDeviceBuilder::default().major(major).minor(minor).rate(*rate).build())
            })
            .collect()
    };
    let mut block_io = LinuxBlockIoBuilder::default();
    if let Some(weight) = settled.blkio_weight {
        block_io = block_io.weight(weight);
    }
    if !settled.blkio_weight_device.is_empty() {
        let mut weights = Vec::new();
        for (path, weight) in &settled.blkio_weight_device {
            let (major, minor) = number(path)?;
            let weight = LinuxWeightDeviceBuilder::default().major(major).minor(minor).weight(*weight);
            weights.push(built(weight.build())?);
        }
        block_io = block_io.weight_device(weights);
    }
    let given = |rates: &[(String, u64)]| Some(throttle(rates)).filter(|_| !rates.is_empty()).transpose();
    if let Some(rates) = given(&settled.device_read_bps)? {
        block_io = block_io.throttle_read_bps_device(rates);
    }
    if let Some(rates) = given(&settled.device_write_bps)? {
        block_io = block_io.throttle_write_bps_device(rates);
    }
    if let Some(rates) = given(&settled.device_read_iops)? {
        block_io = block_io.throttle_read_iops_device(rates);
    }
    if let Some(rates) = given(&settled.device_write_iops)? {
        block_io = block_io.throttle_write_iops_device(rates);
    }
    built(block_io.build())
}

#[cfg(test)]
mod tests {
    use super::super::spec::tests::host;
    use super::*;
    use crate::sys::host::Controllers;

    const MB: i64 = 1024 * 1024;

    fn json(wanted: &Resources) -> serde_json::Value {
        let (settled, warnings) = settle(wanted, &host()).unwrap();
        assert!(warnings.is_empty(), "{warnings:?}");
        let numbers = BlockDevices::from([("/dev/sda".to_owned(), (8, 0))]);
        serde_json::to_value(in_spec(&settled, &numbers, Vec::new()).unwrap()).unwrap()
    }

    #[test]
    fn nothing_is_limited_by_default() {
        assert_eq!(
            json(&Resources::default()),
            serde_json::json!({"devices": [], "memory": {}, "cpu": {}, "blockIO": {}})
        );
    }

    #[test]
    fn memory() {
        for (memory, swap, expected) in [
            (64 * MB, None, serde_json::json!({"limit": 67_108_864, "swap": 134_217_728})),
            (64 * MB, Some(0), serde_json::json!({"limit": 67_108_864, "swap": 134_217_728})),
            (64 * MB, Some(-1), serde_json::json!({"limit": 67_108_864})),
            (64 * MB, Some(64 * MB), serde_json::json!({"limit": 67_108_864, "swap": 67_108_864})),
            (0, None, serde_json::json!({})),
        ] {
            let wanted = Resources { memory: Some(memory), memory_swap: swap, ..Resources::default() };
            assert_eq!(json(&wanted)["memory"], expected);
        }
    }

    #[test]
    fn cpu_and_pids() {
        let wanted = Resources {
            nano_cpus: Some(1_500_000_000),
            cpu_shares: Some(1),
            cpuset_cpus: Some("0-1,3".into()),
            pids_limit: Some(100),
            ..Resources::default()
        };
        let found = json(&wanted);
        assert_eq!(
            found["cpu"],
            serde_json::json!({"shares": 2, "quota": 150_000, "period": 100_000, "cpus": "0-1,3"})
        );
        assert_eq!(found["pids"]["limit"], 100);
        for unlimited in [0, -1] {
            let wanted = Resources { pids_limit: Some(unlimited), ..Resources::default() };
            assert_eq!(json(&wanted)["pids"]["limit"], -1);
        }
        let wanted = Resources {
            cpu_period: Some(50_000),
            cpu_quota: Some(-1),
            cpu_shares: Some(9_999_999),
            ..Resources::default()
        };
        assert_eq!(
            json(&wanted)["cpu"],
            serde_json::json!({"shares": 262_144, "quota": -1, "period": 50_000})
        );
    }

    #[test]
    fn block_devices() {
        let wanted = Resources {
            blkio_weight: Some(300),
            blkio_weight_device: vec![("/dev/sda".into(), 500)],
            device_read_bps: vec![("/dev/sda".into(), 1024)],
            device_write_iops: vec![("/dev/sda".into(), 7)],
            ..Resources::default()
        };
        assert_eq!(
            json(&wanted)["blockIO"],
            serde_json::json!({
                "weight": 300,
                "weightDevice": [{"major": 8, "minor": 0, "weight": 500}],
                "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1024}],
                "throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 7}]
            })
        );
        let unknown = Resources { device_read_bps: vec![("/dev/no".into(), 1)], ..Resources::default() };
        assert!(in_spec(&unknown, &BlockDevices::new(), Vec::new()).is_err());
    }

    #[test]
    fn refused_in_dockers_words() {
        let none = Resources::default;
        for (wanted, message) in [
            (Resources { memory: Some(1), ..none() }, "Minimum memory limit allowed is 6MB"),
            (Resources { memory: Some(-1), ..none() }, "Minimum memory limit allowed is 6MB"),
            (
                Resources { memory: Some(8 * MB), memory_swap: Some(7 * MB), ..none() },
                "Minimum memoryswap limit should be larger than memory limit, see usage",
            ),
            (
                Resources { memory_swap: Some(7 * MB), ..none() },
                "You should always set the Memory limit when using Memoryswap limit, see usage",
            ),
            (
                Resources { memory_swappiness: Some(101), ..none() },
                "Invalid value: 101, valid memory swappiness range is 0-100",
            ),
            (
                Resources { memory_reservation: Some(1), ..none() },
                "Minimum memory reservation allowed is 6MB",
            ),
            (
                Resources { memory: Some(7 * MB), memory_reservation: Some(8 * MB), ..none() },
                "Minimum memory limit can not be less than memory reservation limit, see usage",
            ),
            (
                Resources { nano_cpus: Some(1), cpu_period: Some(1000), ..none() },
                "Conflicting options: Nano CPUs and CPU Period cannot both be set",
            ),
            (
                Resources { nano_cpus: Some(1), cpu_quota: Some(1000), ..none() },
                "Conflicting options: Nano CPUs and CPU Quota cannot both be set",
            ),
            (
                Resources { nano_cpus: Some(5_000_000_000), ..none() },
                "Range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available",
            ),
            (
                Resources { nano_cpus: Some(-1), ..none() },
                "Range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available",
            ),
            (
                Resources { cpu_period: Some(999), ..none() },
                "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
            ),
            (
                Resources { cpu_quota: Some(999), ..none() },
                "CPU cfs quota can not be less than 1ms (i.e. 1000)",
            ),
            (
                Resources { cpuset_cpus: Some("0-9".into()), ..none() },
                "Requested CPUs are not available - requested 0-9, available: 0-3",
            ),
            (
                Resources { cpuset_mems: Some("1".into()), ..none() },
                "Requested memory nodes are not available - requested 1, available: 0",
            ),
            (Resources { cpuset_cpus: Some("x".into()), ..none() }, "Invalid value x for cpuset cpus"),
            (Resources { cpuset_cpus: Some("2-1".into()), ..none() }, "Invalid value 2-1 for cpuset cpus"),
            (Resources { blkio_weight: Some(9), ..none() }, "Range of blkio weight is from 10 to 1000"),
        ] {
            assert_eq!(settle(&wanted, &host()).unwrap_err().message, message);
        }
    }

    #[test]
    fn what_the_machine_cannot_do_is_dropped_with_a_warning() {
        let mut bare = host();
        bare.controllers = Controllers::default();
        let wanted = Resources {
            memory: Some(64 * MB),
            memory_swap: Some(-1),
            memory_reservation: Some(32 * MB),
            memory_swappiness: Some(1),
            cpu_shares: Some(5),
            cpu_quota: Some(5000),
            cpuset_cpus: Some("0".into()),
            pids_limit: Some(5),
            blkio_weight: Some(100),
            device_read_bps: vec![("/dev/sda".into(), 1)],
            oom_kill_disable: true,
            ..Resources::default()
        };
        let (settled, warnings) = settle(&wanted, &bare).unwrap();
        assert_eq!(settled, Resources::default());
        assert_eq!(warnings.len(), 10, "{warnings:#?}");

        let mut without_swap = host();
        without_swap.controllers.swap = false;
        let wanted = Resources { memory: Some(64 * MB), ..Resources::default() };
        let (settled, warnings) = settle(&wanted, &without_swap).unwrap();
        assert_eq!((settled.memory, settled.memory_swap), (Some(64 * MB), Some(-1)));
        assert!(warnings[0].contains("Memory limited without swap"));
    }
}
