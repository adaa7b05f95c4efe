//! `ctr tasks metrics`: what the shim has counted.

use serde_json::Value;

use super::shown;
use crate::cli::Context;
use crate::containerd::{CgroupVersion, Readings};
use crate::error::{Error, Result};
use crate::output::table::aligned;

/// ctr's lines for version 1 of control groups: what it prints, where it lies, the parent without which it is silent.
const V1: &[(&str, &str)] = &[
    ("memory.usage_in_bytes", "/memory/usage/usage"),
    ("memory.limit_in_bytes", "/memory/usage/limit"),
    ("memory.stat.cache", "/memory/total_cache"),
    ("cpuacct.usage", "/cpu/usage/total"),
    ("cpuacct.usage_percpu", "/cpu/usage/per_cpu"),
    ("pids.current", "/pids/current"),
    ("pids.limit", "/pids/limit"),
];

const V2: &[(&str, &str)] = &[
    ("pids.current", "/pids/current"),
    ("pids.limit", "/pids/limit"),
    ("cpu.usage_usec", "/cpu/usage_usec"),
    ("cpu.user_usec", "/cpu/user_usec"),
    ("cpu.system_usec", "/cpu/system_usec"),
    ("cpu.nr_periods", "/cpu/nr_periods"),
    ("cpu.nr_throttled", "/cpu/nr_throttled"),
    ("cpu.throttled_usec", "/cpu/throttled_usec"),
    ("memory.usage", "/memory/usage"),
    ("memory.usage_limit", "/memory/usage_limit"),
    ("memory.swap_usage", "/memory/swap_usage"),
    ("memory.swap_limit", "/memory/swap_limit"),
];

/// Print a reading.
pub(super) fn print(readings: &Readings, format: &str, cx: &mut Context<'_>) -> Result<()> {
    match format {
        "json" => shown::indented(cx.ui, &readings.values, b"  "),
        "table" => cx.ui.print(table(readings)),
        _ => Err(Error::failed("format must be table or json")),
    }
}

fn table(readings: &Readings) -> String {
    let at = readings.at.unwrap_or_default();
    let at = format!("seconds:{} nanos:{}", at.as_second(), at.subsec_nanosecond());
    let mut text = format!("ID\tTIMESTAMP\t\n{}\t{at}\t\n\nMETRIC\tVALUE\t\n", readings.id);
    let lines = match readings.version {
        CgroupVersion::V1 => V1,
        CgroupVersion::V2 => V2,
    };
    for (name, path) in lines {
        let family = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        if readings.values.get(family).is_none() {
            continue;
        }
        let value = match readings.values.pointer(path) {
            Some(Value::Array(values)) => {
                let values: Vec<String> = values.iter().map(Value::to_string).collect();
                format!("[{}]", values.join(" "))
            }
            Some(value) => value.to_string(),
            None if name.ends_with("percpu") => "[]".into(),
            None => "0".into(),
        };
        text += &format!("{name}\t{value}\t\n");
    }
    aligned(&text, 1, 4)
}
