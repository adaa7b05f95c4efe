//! What a container uses at one moment: its shim's reading of the control group, of either version.
//!
//! The shim answers with a message of its own (`io.containerd.cgroups.v1.Metrics` or `…v2.Metrics`) that the
//! client library does not have. The few fields that are shown are read from the wire by hand.

use std::time::Duration;

use containerd_client::services::v1 as api;
use jiff::Timestamp;

use super::{Client, Error, Result, values};

/// One reading of a control group. What the group does not count is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Metrics {
    /// When it was read.
    pub at: Option<Timestamp>,
    /// CPU time used since the container began, in nanoseconds.
    pub cpu: u64,
    /// Bytes of memory, caches included.
    pub memory: u64,
    /// Bytes of files that nobody has used for a while: docker does not count them.
    pub inactive_file: u64,
    /// The most bytes of memory; a huge number where there is no limit.
    pub memory_limit: u64,
    /// Processes and threads.
    pub pids: u64,
    /// Bytes read from block devices.
    pub read: u64,
    /// Bytes written to block devices.
    pub written: u64,
}

impl Client {
    /// A reading for container `id`; None when its task is gone or its runtime counts nothing.
    pub async fn metrics(&self, id: &str, deadline: Duration) -> Result<Option<Metrics>> {
        let quoted = id.replace('\\', "\\\\").replace('"', "\\\"");
        let mut request = self.request(api::MetricsRequest { filters: vec![format!("id==\"{quoted}\"")] });
        request.set_timeout(deadline);
        let reply = self.tasks_api().metrics(request).await?.into_inner();
        let Some(metric) = reply.metrics.into_iter().find(|metric| metric.id == id) else { return Ok(None) };
        let Some(data) = metric.data else { return Ok(None) };
        let at = values::time(metric.timestamp);
        let read = match data.type_url.rsplit('/').next().unwrap_or_default() {
            "io.containerd.cgroups.v1.Metrics" => of_v1(&data.value),
            "io.containerd.cgroups.v2.Metrics" => of_v2(&data.value),
            // Another kind of runtime, a virtual machine's: it has words of its own.
            _ => return Ok(None),
        };
        let metrics =
            read.ok_or_else(|| Error::other(format!("the metrics of container {id} are damaged")))?;
        Ok(Some(Metrics { at, ..metrics }))
    }
}

/// Version 1: <https://github.com/containerd/cgroups/blob/main/cgroup1/stats/metrics.proto>.
fn of_v1(message: &[u8]) -> Option<Metrics> {
    let mut metrics = Metrics::default();
    for (number, value) in fields(message)? {
        match (number, value) {
            (2, Value::Bytes(pids)) => metrics.pids = number_at(pids, &[1])?,
            (3, Value::Bytes(cpu)) => metrics.cpu = number_at(cpu, &[1, 1])?,
            (4, Value::Bytes(memory)) => {
                metrics.inactive_file = number_at(memory, &[30])?;
                metrics.memory_limit = number_at(memory, &[33, 1])?;
                metrics.memory = number_at(memory, &[33, 2])?;
            }
            (5, Value::Bytes(blocks)) => {
                // io_service_bytes_recursive: a device and a direction each.
                for entry in messages(blocks, 1)? {
                    let bytes = number_at(entry, &[5])?;
                    match text_at(entry, 1)?.first().map(u8::to_ascii_lowercase) {
                        Some(b'r') => metrics.read += bytes,
                        Some(b'w') => metrics.written += bytes,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Some(metrics)
}

/// Version 2: <https://github.com/containerd/cgroups/blob/main/cgroup2/stats/metrics.proto>.
fn of_v2(message: &[u8]) -> Option<Metrics> {
    let mut metrics = Metrics::default();
    for (number, value) in fields(message)? {
        match (number, value) {
            (1, Value::Bytes(pids)) => metrics.pids = number_at(pids, &[1])?,
            (2, Value::Bytes(cpu)) => metrics.cpu = number_at(cpu, &[1])?.saturating_mul(1000),
            (4, Value::Bytes(memory)) => {
                metrics.inactive_file = number_at(memory, &[13])?;
                metrics.memory = number_at(memory, &[32])?;
                metrics.memory_limit = number_at(memory, &[33])?;
            }
            (6, Value::Bytes(io)) => {
                for entry in messages(io, 1)? {
                    metrics.read += number_at(entry, &[3])?;
                    metrics.written += number_at(entry, &[4])?;
                }
            }
            _ => {}
        }
    }
    Some(metrics)
}

/// One field's value on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message with their numbers, those of fixed width left out; None when it is damaged.
pub(super) fn fields(mut message: &[u8]) -> Option<Vec<(u64, Value<'_>)>> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message)?;
        match key & 7 {
            0 => found.push((key >> 3, Value::Number(varint(&mut message)?))),
            1 => message = message.get(8..)?,
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                let (bytes, rest) = message.split_at_checked(length)?;
                found.push((key >> 3, Value::Bytes(bytes)));
                message = rest;
            }
            5 => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(found)
}

pub(super) fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The number at the end of a path of fields; 0 where it is left out, as protobuf does with zeros.
fn number_at(message: &[u8], path: &[u64]) -> Option<u64> {
    let (wanted, deeper) = path.split_first()?;
    for (number, value) in fields(message)? {
        match value {
            Value::Number(value) if number == *wanted && deeper.is_empty() => return Some(value),
            Value::Bytes(inner) if number == *wanted && !deeper.is_empty() => {
                return number_at(inner, deeper);
            }
            _ => {}
        }
    }
    Some(0)
}

fn messages(message: &[u8], wanted: u64) -> Option<Vec<&[u8]>> {
    let all = fields(message)?.into_iter();
    let found = all.filter_map(|(number, value)| match value {
        Value::Bytes(bytes) if number == wanted => Some(bytes),
        _ => None,
    });
    Some(found.collect())
}

fn text_at(message: &[u8], wanted: u64) -> Option<&[u8]> {
    Some(messages(message, wanted)?.first().copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message from its fields, as a shim would write it.
    fn message(fields: &[(u64, Field<'_>)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (number, field) in fields {
            match field {
                Field::Number(value) => {
                    push(&mut bytes, number << 3);
                    push(&mut bytes, *value);
                }
                Field::Text(text) => {
                    push(&mut bytes, number << 3 | 2);
                    push(&mut bytes, text.len() as u64);
                    bytes.extend_from_slice(text.as_bytes());
                }
                Field::Message(inner) => {
                    let inner = message(inner);
                    push(&mut bytes, number << 3 | 2);
                    push(&mut bytes, inner.len() as u64);
                    bytes.extend_from_slice(&inner);
                }
            }
        }
        bytes
    }

    enum Field<'a> {
        Number(u64),
        Text(&'a str),
        Message(&'a [(u64, Field<'a>)]),
    }

    fn push(bytes: &mut Vec<u8>, mut value: u64) {
        while value >= 0x80 {
            bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
    }

    #[test]
    fn both_versions_are_read() {
        use Field::{Message, Number, Text};
        let block = |op, value| [(1, Text(op)), (2, Text("/dev/sda")), (3, Number(8)), (5, Number(value))];
        let (read, write, sync) = (block("Read", 1000), block("write", 2000), block("Sync", 9));
        let v1 = message(&[
            (1, Message(&[(1, Number(7)), (4, Text("2MB"))])),
            (2, Message(&[(1, Number(3)), (2, Number(100))])),
            (3, Message(&[(1, Message(&[(1, Number(123_456_789)), (2, Number(5))]))])),
            (
                4,
                Message(&[
                    (1, Number(1)),
                    (30, Number(4096)),
                    (33, Message(&[(1, Number(64 << 20)), (2, Number(5 << 20))])),
                ]),
            ),
            (
                5,
                Message(&[
                    (1, Message(&read)),
                    (1, Message(&write)),
                    (1, Message(&sync)),
                    (2, Message(&read)),
                ]),
            ),
        ]);
        assert_eq!(
            of_v1(&v1),
            Some(Metrics {
                at: None,
                cpu: 123_456_789,
                memory: 5 << 20,
                inactive_file: 4096,
                memory_limit: 64 << 20,
                pids: 3,
                read: 1000,
                written: 2000,
            })
        );
        let v2 = message(&[
            (1, Message(&[(1, Number(2))])),
            (2, Message(&[(1, Number(1_500)), (2, Number(1_000))])),
            (4, Message(&[(13, Number(77)), (32, Number(9 << 20)), (33, Number(u64::MAX))])),
            (
                6,
                Message(&[(1, Message(&[(1, Number(8)), (3, Number(10)), (4, Number(20)), (5, Number(1))]))]),
            ),
        ]);
        assert_eq!(
            of_v2(&v2),
            Some(Metrics {
                at: None,
                cpu: 1_500_000,
                memory: 9 << 20,
                inactive_file: 77,
                memory_limit: u64::MAX,
                pids: 2,
                read: 10,
                written: 20,
            })
        );
        assert_eq!(of_v2(&[]), Some(Metrics::default()));
    }

    #[test]
    fn what_is_damaged_is_refused() {
        for bytes in [&[0x12_u8, 5, 1][..], &[0xff; 11], &[0x0b], &[0x0d, 1]] {
            assert_eq!(of_v1(bytes), None, "{bytes:?}");
            assert_eq!(of_v2(bytes), None, "{bytes:?}");
        }
    }
}
