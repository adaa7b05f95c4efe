//! Other limits for a container that is there: merged with what it has in docker's way, and written into its
//! specification without touching anything else of it.

use serde_json::{Value, json};

use super::request::Resources;
use crate::{Error, Result};

/// docker's period for `--cpus`, in microseconds.
const PERIOD: i64 = 100_000;

/// `current` with what `wanted` names. `swap` says whether the machine can limit memory and swap together.
///
/// # Errors
/// What docker refuses: CPU limits of two kinds, and a memory limit beyond the swap limit that stays.
pub fn merge(current: &Resources, wanted: &Resources, swap: bool) -> Result<Resources> {
    let positive = |value: Option<i64>| value.is_some_and(|value| value > 0);
    let period = |resources: &Resources| resources.cpu_period.is_some_and(|period| period > 0);
    for (conflict, message) in [
        (
            positive(wanted.nano_cpus) && period(current),
            "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set",
        ),
        (
            positive(wanted.nano_cpus) && positive(current.cpu_quota),
            "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set",
        ),
        (
            period(wanted) && positive(current.nano_cpus),
            "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set",
        ),
        (
            positive(wanted.cpu_quota) && positive(current.nano_cpus),
            "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set",
        ),
    ] {
        if conflict {
            return Err(Error::conflict(message));
        }
    }
    // Without a limit on swap there is none that memory could pass.
    let wanted_swap = wanted.memory_swap.or_else(|| wanted.memory.filter(|_| !swap).map(|_| -1));
    if let (Some(memory), None) = (wanted.memory, wanted_swap)
        && memory > current.memory_swap.unwrap_or_default()
    {
        return Err(Error::conflict(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
        )
        .hint("--memory-swap -1 sets no limit on swap; twice the memory is what `run` sets"));
    }
    Ok(Resources {
        memory: wanted.memory.or(current.memory),
        memory_swap: wanted_swap.or(current.memory_swap),
        memory_reservation: wanted.memory_reservation.or(current.memory_reservation),
        nano_cpus: wanted.nano_cpus.or(current.nano_cpus),
        cpu_shares: wanted.cpu_shares.or(current.cpu_shares),
        cpu_period: wanted.cpu_period.or(current.cpu_period),
        cpu_quota: wanted.cpu_quota.or(current.cpu_quota),
        cpu_rt_period: wanted.cpu_rt_period.or(current.cpu_rt_period),
        cpu_rt_runtime: wanted.cpu_rt_runtime.or(current.cpu_rt_runtime),
        cpuset_cpus: wanted.cpuset_cpus.clone().or_else(|| current.cpuset_cpus.clone()),
        cpuset_mems: wanted.cpuset_mems.clone().or_else(|| current.cpuset_mems.clone()),
        pids_limit: wanted.pids_limit.or(current.pids_limit),
        blkio_weight: wanted.blkio_weight.or(current.blkio_weight),
        ..current.clone()
    })
}

/// Write into a specification, as JSON, the limits of `settled` that `wanted` names.
pub fn write(spec: &mut Value, settled: &Resources, wanted: &Resources) {
    let resources = object(object(spec, "linux"), "resources");
    let mut put = |group: &str, name: &str, value: Option<Value>| {
        if let Some(value) = value {
            object(resources, group)[name] = value;
        }
    };
    let if_wanted = |is_wanted: bool, value: Option<i64>| value.filter(|_| is_wanted).map(Value::from);
    put("memory", "limit", if_wanted(wanted.memory.is_some(), settled.memory));
    put("memory", "swap", if_wanted(wanted.memory_swap.is_some(), settled.memory_swap));
    let reservation = wanted.memory_reservation.is_some();
    put("memory", "reservation", if_wanted(reservation, settled.memory_reservation));
    if let (Some(_), Some(nano)) = (wanted.nano_cpus, settled.nano_cpus) {
        put("cpu", "period", Some(PERIOD.into()));
        put("cpu", "quota", Some((nano.saturating_mul(PERIOD) / 1_000_000_000).into()));
    }
    let unsigned = |is_wanted: bool, value: Option<u64>| value.filter(|_| is_wanted).map(Value::from);
    let text = |is_wanted: bool, value: &Option<String>| value.clone().filter(|_| is_wanted).map(Value::from);
    put("cpu", "shares", unsigned(wanted.cpu_shares.is_some(), settled.cpu_shares));
    put("cpu", "period", unsigned(wanted.cpu_period.is_some(), settled.cpu_period));
    put("cpu", "quota", if_wanted(wanted.cpu_quota.is_some(), settled.cpu_quota));
    put("cpu", "realtimePeriod", unsigned(wanted.cpu_rt_period.is_some(), settled.cpu_rt_period));
    put("cpu", "realtimeRuntime", if_wanted(wanted.cpu_rt_runtime.is_some(), settled.cpu_rt_runtime));
    put("cpu", "cpus", text(wanted.cpuset_cpus.is_some(), &settled.cpuset_cpus));
    put("cpu", "mems", text(wanted.cpuset_mems.is_some(), &settled.cpuset_mems));
    let weight = settled.blkio_weight.map(u64::from);
    put("blockIO", "weight", unsigned(wanted.blkio_weight.is_some(), weight));
    let pids = settled.pids_limit.map(|limit| if limit > 0 { limit } else { -1 });
    put("pids", "limit", if_wanted(wanted.pids_limit.is_some(), pids));
}

/// The limits of a specification as a running container is told them: device rules do not change.
pub fn live(spec: &Value) -> Value {
    let mut resources = spec.pointer("/linux/resources").cloned().unwrap_or_else(|| json!({}));
    if let Some(resources) = resources.as_object_mut() {
        resources.remove("devices");
    }
    resources
}

/// The object `name` in `parent`, made where it is missing or something else.
fn object<'a>(parent: &'a mut Value, name: &str) -> &'a mut Value {
    if !parent.is_object() {
        *parent = json!({});
    }
    let entry = &mut parent[name];
    if !entry.is_object() {
        *entry = json!({});
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: i64 = 1 << 20;

    #[test]
    fn what_is_not_named_stays() {
        let current = Resources {
            memory: Some(64 * MB),
            memory_swap: Some(128 * MB),
            cpu_shares: Some(512),
            shm_size: Some(1),
            ..Resources::default()
        };
        let wanted =
            Resources { memory: Some(100 * MB), nano_cpus: Some(500_000_000), ..Resources::default() };
        let merged = merge(&current, &wanted, true).unwrap();
        assert_eq!(
            merged,
            Resources { memory: Some(100 * MB), nano_cpus: Some(500_000_000), ..current.clone() }
        );
        let mut spec = json!({
            "hostname": "x",
            "future": 1,
            "linux": {"resources": {"devices": [{"allow": false}], "memory": {"limit": 1, "swap": 2}, "cpu": {}}}
        });
        write(&mut spec, &merged, &wanted);
        assert_eq!(
            spec,
            json!({
                "hostname": "x",
                "future": 1,
                "linux": {"resources": {
                    "devices": [{"allow": false}],
                    "memory": {"limit": 100 * MB, "swap": 2},
                    "cpu": {"period": 100_000, "quota": 50_000}
                }}
            })
        );
        assert_eq!(
            live(&spec),
            json!({"memory": {"limit": 100 * MB, "swap": 2}, "cpu": {"period": 100_000, "quota": 50_000}})
        );
    }

    #[test]
    fn a_specification_without_limits_gets_some() {
        for mut spec in [json!({}), json!({"linux": null}), json!({"linux": {"resources": null}})] {
            let wanted = Resources {
                pids_limit: Some(-1),
                blkio_weight: Some(300),
                cpuset_cpus: Some("0".into()),
                memory: Some(8 * MB),
                memory_swap: Some(-1),
                memory_reservation: Some(7 * MB),
                cpu_quota: Some(-1),
                cpu_period: Some(1000),
                ..Resources::default()
            };
            write(&mut spec, &wanted, &wanted);
            assert_eq!(
                spec["linux"]["resources"],
                json!({
                    "memory": {"limit": 8 * MB, "swap": -1, "reservation": 7 * MB},
                    "cpu": {"period": 1000, "quota": -1, "cpus": "0"},
                    "blockIO": {"weight": 300},
                    "pids": {"limit": -1}
                })
            );
        }
    }

    #[test]
    fn refused_in_dockers_words() {
        let none = Resources::default;
        let nano = || Resources { nano_cpus: Some(1), ..none() };
        let (period, quota) =
            (Resources { cpu_period: Some(1000), ..none() }, Resources { cpu_quota: Some(1000), ..none() });
        let memory = |memory, swap| Resources { memory: Some(memory), memory_swap: swap, ..none() };
        let swap = "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time";
        for (current, wanted, message) in [
            (
                &period,
                &nano(),
                "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set",
            ),
            (
                &quota,
                &nano(),
                "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set",
            ),
            (
                &nano(),
                &period,
                "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set",
            ),
            (
                &nano(),
                &quota,
                "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set",
            ),
            (&none(), &memory(64 * MB, None), swap),
            (&memory(64 * MB, Some(128 * MB)), &memory(129 * MB, None), swap),
            (&memory(64 * MB, Some(-1)), &memory(65 * MB, None), swap),
        ] {
            assert_eq!(merge(current, wanted, true).unwrap_err().message, message);
        }
        for (current, wanted, can_swap, expected) in [
            (&none(), memory(64 * MB, Some(-1)), true, memory(64 * MB, Some(-1))),
            (&none(), memory(64 * MB, None), false, memory(64 * MB, Some(-1))),
            (
                &memory(64 * MB, Some(128 * MB)),
                memory(128 * MB, None),
                true,
                memory(128 * MB, Some(128 * MB)),
            ),
        ] {
            assert_eq!(merge(current, &wanted, can_swap).unwrap(), expected);
        }
    }
}
