//! Everything that a shim has counted of a container, as the JSON that containerd's own client prints.

use std::time::Duration;

use containerd_client::services::v1 as api;
use serde_json::{Map, Value, json};

use super::metrics::{Value as Wire, fields};
use super::{Client, Code, Error, Result, values};

const ANSWER: Duration = Duration::from_secs(10);

/// Whose words a reading is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupVersion {
    /// Version 1's controllers.
    V1,
    /// The unified tree's.
    V2,
}

/// One reading.
#[derive(Debug, Clone)]
pub struct Readings {
    /// The container's id.
    pub id: String,
    /// When it was read.
    pub at: Option<jiff::Timestamp>,
    /// Which of the two forms `values` has.
    pub version: CgroupVersion,
    /// The numbers by their protobuf names; zeros are left out.
    pub values: Value,
}

/// A field: its number, its name, what it is.
type Field = (u64, &'static str, Kind);

#[derive(Clone, Copy)]
enum Kind {
    Number,
    /// Packed or repeated numbers.
    Numbers,
    Text,
    Message(&'static [Field]),
    Messages(&'static [Field]),
}

use Kind::{Message, Messages, Number, Numbers, Text};

const LIMITED: &[Field] =
    &[(1, "limit", Number), (2, "usage", Number), (3, "max", Number), (4, "failcnt", Number)];

const BLOCK: &[Field] =
    &[(1, "op", Text), (2, "device", Text), (3, "major", Number), (4, "minor", Number), (5, "value", Number)];

const RDMA: &[Field] = &[(1, "device", Text), (2, "hca_handles", Number), (3, "hca_objects", Number)];

const V1: &[Field] = &[
    (
        1,
        "hugetlb",
        Messages(&[(1, "usage", Number), (2, "max", Number), (3, "failcnt", Number), (4, "pagesize", Text)]),
    ),
    (2, "pids", Message(&[(1, "current", Number), (2, "limit", Number)])),
    (
        3,
        "cpu",
        Message(&[
            (
                1,
                "usage",
                Message(&[
                    (1, "total", Number),
                    (2, "kernel", Number),
                    (3, "user", Number),
                    (4, "per_cpu", Numbers),
                ]),
            ),
            (
                2,
                "throttling",
                Message(&[
                    (1, "periods", Number),
                    (2, "throttled_periods", Number),
                    (3, "throttled_time", Number),
                ]),
            ),
        ]),
    ),
    (4, "memory", Message(MEMORY_V1)),
    (
        5,
        "blkio",
        Message(&[
            (1, "io_service_bytes_recursive", Messages(BLOCK)),
            (2, "io_serviced_recursive", Messages(BLOCK)),
            (3, "io_queued_recursive", Messages(BLOCK)),
            (4, "io_service_time_recursive", Messages(BLOCK)),
            (5, "io_wait_time_recursive", Messages(BLOCK)),
            (6, "io_merged_recursive", Messages(BLOCK)),
            (7, "io_time_recursive", Messages(BLOCK)),
            (8, "sectors_recursive", Messages(BLOCK)),
        ]),
    ),
    (6, "rdma", Message(&[(1, "current", Messages(RDMA)), (2, "limit", Messages(RDMA))])),
    (
        7,
        "network",
        Messages(&[
            (1, "name", Text),
            (2, "rx_bytes", Number),
            (3, "rx_packets", Number),
            (4, "rx_errors", Number),
            (5, "rx_dropped", Number),
            (6, "tx_bytes", Number),
            (7, "tx_packets", Number),
            (8, "tx_errors", Number),
            (9, "tx_dropped", Number),
        ]),
    ),
    (
        8,
        "cgroup_stats",
        Message(&[
            (1, "nr_sleeping", Number),
            (2, "nr_running", Number),
            (3, "nr_stopped", Number),
            (4, "nr_uninterruptible", Number),
            (5, "nr_io_wait", Number),
        ]),
    ),
    (
        9,
        "memory_oom_control",
        Message(&[(1, "oom_kill_disable", Number), (2, "under_oom", Number), (3, "oom_kill", Number)]),
    ),
];

const MEMORY_V1: &[Field] = &[
    (1, "cache", Number),
    (2, "rss", Number),
    (3, "rss_huge", Number),
    (4, "mapped_file", Number),
    (5, "dirty", Number),
    (6, "writeback", Number),
    (7, "pg_pg_in", Number),
    (8, "pg_pg_out", Number),
    (9, "pg_fault", Number),
    (10, "pg_maj_fault", Number),
    (11, "inactive_anon", Number),
    (12, "active_anon", Number),
    (13, "inactive_file", Number),
    (14, "active_file", Number),
    (15, "unevictable", Number),
    (16, "hierarchical_memory_limit", Number),
    (17, "hierarchical_swap_limit", Number),
    (18, "total_cache", Number),
    (19, "total_rss", Number),
    (20, "total_rss_huge", Number),
    (21, "total_mapped_file", Number),
    (22, "total_dirty", Number),
    (23, "total_writeback", Number),
    (24, "total_pg_pg_in", Number),
    (25, "total_pg_pg_out", Number),
    (26, "total_pg_fault", Number),
    (27, "total_pg_maj_fault", Number),
    (28, "total_inactive_anon", Number),
    (29, "total_active_anon", Number),
    (30, "total_inactive_file", Number),
    (31, "total_active_file", Number),
    (32, "total_unevictable", Number),
    (33, "usage", Message(LIMITED)),
    (34, "swap", Message(LIMITED)),
    (35, "kernel", Message(LIMITED)),
    (36, "kernel_tcp", Message(LIMITED)),
];

const V2: &[Field] = &[
    (1, "pids", Message(&[(1, "current", Number), (2, "limit", Number)])),
    (
        2,
        "cpu",
        Message(&[
            (1, "usage_usec", Number),
            (2, "user_usec", Number),
            (3, "system_usec", Number),
            (4, "nr_periods", Number),
            (5, "nr_throttled", Number),
            (6, "throttled_usec", Number),
        ]),
    ),
    (
        4,
        "memory",
        Message(&[
            (1, "anon", Number),
            (2, "file", Number),
            (3, "kernel_stack", Number),
            (4, "slab", Number),
            (5, "sock", Number),
            (6, "shmem", Number),
            (7, "file_mapped", Number),
            (8, "file_dirty", Number),
            (9, "file_writeback", Number),
            (10, "anon_thp", Number),
            (11, "inactive_anon", Number),
            (12, "active_anon", Number),
            (13, "inactive_file", Number),
            (14, "active_file", Number),
            (15, "unevictable", Number),
            (32, "usage", Number),
            (33, "usage_limit", Number),
            (34, "swap_usage", Number),
            (35, "swap_limit", Number),
        ]),
    ),
    (5, "rdma", Message(&[(1, "current", Messages(RDMA)), (2, "limit", Messages(RDMA))])),
    (
        6,
        "io",
        Message(&[(
            1,
            "usage",
            Messages(&[
                (1, "major", Number),
                (2, "minor", Number),
                (3, "rbytes", Number),
                (4, "wbytes", Number),
                (5, "rios", Number),
                (6, "wios", Number),
            ]),
        )]),
    ),
    (7, "hugetlb", Messages(&[(1, "current", Number), (2, "max", Number), (3, "pagesize", Text)])),
    (
        8,
        "memory_events",
        Message(&[
            (1, "low", Number),
            (2, "high", Number),
            (3, "max", Number),
            (4, "oom", Number),
            (5, "oom_kill", Number),
        ]),
    ),
];

impl Client {
    /// Everything counted of container `id`'s task.
    pub async fn readings(&self, id: &str) -> Result<Readings> {
        let quoted = id.replace('\\', "\\\\").replace('"', "\\\"");
        let mut request = self.request(api::MetricsRequest { filters: vec![format!("id==\"{quoted}\"")] });
        request.set_timeout(ANSWER);
        let reply = self.tasks_api().metrics(request).await?.into_inner();
        let metric = reply.metrics.into_iter().find(|metric| metric.id == id);
        let metric =
            metric.ok_or_else(|| Error { code: Code::NotFound, message: format!("no metrics of {id}") })?;
        let data = metric.data.unwrap_or_default();
        let (version, schema) = match data.type_url.rsplit('/').next().unwrap_or_default() {
            "io.containerd.cgroups.v1.Metrics" => (CgroupVersion::V1, V1),
            "io.containerd.cgroups.v2.Metrics" => (CgroupVersion::V2, V2),
            other => return Err(Error::other(format!("cannot read metrics of type {other:?}"))),
        };
        let values = read(&data.value, schema)
            .ok_or_else(|| Error::other(format!("the metrics of container {id} are damaged")))?;
        Ok(Readings { id: metric.id, at: values::time(metric.timestamp), version, values })
    }
}

/// A message as JSON, in its schema's order.
fn read(message: &[u8], schema: &[Field]) -> Option<Value> {
    let found = fields(message)?;
    let mut object = Map::new();
    for (number, name, kind) in schema {
        let mut here = found.iter().filter(|(known, _)| known == number).map(|(_, value)| *value);
        let value = match kind {
            Number => here.next_back().and_then(|value| match value {
                Wire::Number(value) if value != 0 => Some(json!(value)),
                _ => None,
            }),
            Numbers => {
                let all: Vec<u64> = here.flat_map(numbers).collect();
                (!all.is_empty()).then(|| json!(all))
            }
            Text => here.next_back().and_then(|value| match value {
                Wire::Bytes(bytes) => Some(json!(String::from_utf8_lossy(bytes))),
                Wire::Number(_) => None,
            }),
            Message(inner) => match here.next_back() {
                Some(Wire::Bytes(bytes)) => Some(read(bytes, inner)?),
                _ => None,
            },
            Messages(inner) => {
                let mut all = Vec::new();
                for value in here {
                    if let Wire::Bytes(bytes) = value {
                        all.push(read(bytes, inner)?);
                    }
                }
                (!all.is_empty()).then(|| Value::Array(all))
            }
        };
        if let Some(value) = value {
            object.insert((*name).to_owned(), value);
        }
    }
    Some(Value::Object(object))
}

fn numbers(value: Wire<'_>) -> Vec<u64> {
    let mut all = Vec::new();
    match value {
        Wire::Number(value) => all.push(value),
        Wire::Bytes(mut packed) => {
            while let Some(value) = super::metrics::varint(&mut packed) {
                all.push(value);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_has_the_names_of_its_fields() {
        // pids { current: 3, limit: 7 }, cpu { usage { total: 300, per_cpu: [1, 300] } }
        let message = [0x12, 4, 8, 3, 16, 7, 0x1a, 10, 0x0a, 8, 8, 0xac, 2, 0x22, 3, 1, 0xac, 2];
        let expected = json!({
            "pids": { "current": 3, "limit": 7 },
            "cpu": { "usage": { "total": 300, "per_cpu": [1, 300] } },
        });
        assert_eq!(read(&message, V1), Some(expected));
        assert_eq!(read(&[0x12, 9], V1), None);
    }
}
