//! Events' contents as the JSON that containerd's own client prints: the fields' protobuf names, empty ones left
//! out.

use std::collections::HashMap;

use containerd_client::{events as told, services::v1 as api};
use prost::Message;
use serde_json::{Map, Value, json};

use super::Event;

/// Collects fields that say something.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn text(mut self, name: &str, value: String) -> Self {
        if !value.is_empty() {
            self.0.insert(name.into(), Value::String(value));
        }
        self
    }

    fn number(mut self, name: &str, value: impl Into<i64>) -> Self {
        let value = value.into();
        if value != 0 {
            self.0.insert(name.into(), json!(value));
        }
        self
    }

    fn labels(self, labels: HashMap<String, String>) -> Self {
        // Go sorts a map's keys.
        let sorted: std::collections::BTreeMap<_, _> = labels.into_iter().collect();
        let empty = sorted.is_empty();
        self.value("labels", json!(sorted), empty)
    }

    fn time(self, name: &str, value: Option<prost_types::Timestamp>) -> Self {
        let shown = value.map(|time| {
            let fields = Self::default().number("seconds", time.seconds).number("nanos", time.nanos);
            Value::Object(fields.0)
        });
        let empty = shown.is_none();
        self.value(name, shown.unwrap_or_default(), empty)
    }

    fn value(mut self, name: &str, value: Value, empty: bool) -> Self {
        if !empty {
            self.0.insert(name.into(), value);
        }
        self
    }
}

fn any(any: Option<prost_types::Any>) -> (Value, bool) {
    let empty = any.is_none();
    let any = any.unwrap_or_default();
    use base64::Engine as _;
    let value = base64::engine::general_purpose::STANDARD.encode(&any.value);
    (Value::Object(Fields::default().text("type_url", any.type_url).text("value", value).0), empty)
}

impl Event {
    /// What it holds, as JSON; None for a kind that is not known here or is damaged.
    pub fn json(&self) -> Option<Value> {
        fn read<M: Message + Default>(event: &Event) -> Option<M> {
            M::decode(event.payload.as_slice()).ok()
        }
        let new = Fields::default;
        let kind = self.type_url.rsplit('/').next().unwrap_or_default();
        let fields = match kind.rsplit('.').next().unwrap_or_default() {
            "ContainerCreate" => {
                let event: told::ContainerCreate = read(self)?;
                let runtime = event.runtime.map(|runtime| {
                    let (options, empty) = any(runtime.options);
                    Value::Object(new().text("name", runtime.name).value("options", options, empty).0)
                });
                let empty = runtime.is_none();
                new().text("id", event.id).text("image", event.image).value(
                    "runtime",
                    runtime.unwrap_or_default(),
                    empty,
                )
            }
            "ContainerUpdate" => {
                let event: told::ContainerUpdate = read(self)?;
                let fields = new().text("id", event.id).text("image", event.image).labels(event.labels);
                fields.text("snapshot_key", event.snapshot_key)
            }
            "ContainerDelete" => new().text("id", read::<told::ContainerDelete>(self)?.id),
            "ContentCreate" => {
                let event: told::ContentCreate = read(self)?;
                new().text("digest", event.digest).number("size", event.size)
            }
            "ContentDelete" => new().text("digest", read::<told::ContentDelete>(self)?.digest),
            "ImageCreate" => {
                let event: api::ImageCreate = read(self)?;
                new().text("name", event.name).labels(event.labels)
            }
            "ImageUpdate" => {
                let event: api::ImageUpdate = read(self)?;
                new().text("name", event.name).labels(event.labels)
            }
            "ImageDelete" => new().text("name", read::<api::ImageDelete>(self)?.name),
            "NamespaceCreate" => {
                let event: told::NamespaceCreate = read(self)?;
                new().text("name", event.name).labels(event.labels)
            }
            "NamespaceUpdate" => {
                let event: told::NamespaceUpdate = read(self)?;
                new().text("name", event.name).labels(event.labels)
            }
            "NamespaceDelete" => new().text("name", read::<told::NamespaceDelete>(self)?.name),
            "SnapshotPrepare" => {
                let event: told::SnapshotPrepare = read(self)?;
                let fields = new().text("key", event.key).text("parent", event.parent);
                fields.text("snapshotter", event.snapshotter)
            }
            "SnapshotCommit" => {
                let event: told::SnapshotCommit = read(self)?;
                let fields = new().text("key", event.key).text("name", event.name);
                fields.text("snapshotter", event.snapshotter)
            }
            "SnapshotRemove" => {
                let event: told::SnapshotRemove = read(self)?;
                new().text("key", event.key).text("snapshotter", event.snapshotter)
            }
            _ => return self.task_json(kind),
        };
        Some(Value::Object(fields.0))
    }

    fn task_json(&self, kind: &str) -> Option<Value> {
        fn read<M: Message + Default>(event: &Event) -> Option<M> {
            M::decode(event.payload.as_slice()).ok()
        }
        let of = |container: String| Fields::default().text("container_id", container);
        let fields = match kind.rsplit('.').next().unwrap_or_default() {
            "TaskCreate" => {
                let event: told::TaskCreate = read(self)?;
                let rootfs: Vec<Value> = event
                    .rootfs
                    .into_iter()
                    .map(|mount| {
                        let fields = Fields::default().text("type", mount.r#type);
                        let fields = fields.text("source", mount.source).text("target", mount.target);
                        let empty = mount.options.is_empty();
                        Value::Object(fields.value("options", json!(mount.options), empty).0)
                    })
                    .collect();
                let io = event.io.map(|io| {
                    let fields = Fields::default().text("stdin", io.stdin).text("stdout", io.stdout);
                    let fields = fields.text("stderr", io.stderr);
                    Value::Object(fields.value("terminal", json!(true), !io.terminal).0)
                });
                let (no_rootfs, no_io) = (rootfs.is_empty(), io.is_none());
                of(event.container_id)
                    .text("bundle", event.bundle)
                    .value("rootfs", json!(rootfs), no_rootfs)
                    .value("io", io.unwrap_or_default(), no_io)
                    .text("checkpoint", event.checkpoint)
                    .number("pid", event.pid)
            }
            "TaskStart" => {
                let event: told::TaskStart = read(self)?;
                of(event.container_id).number("pid", event.pid)
            }
            "TaskDelete" => {
                let event: told::TaskDelete = read(self)?;
                of(event.container_id)
                    .number("pid", event.pid)
                    .number("exit_status", event.exit_status)
                    .time("exited_at", event.exited_at)
                    .text("id", event.id)
            }
            "TaskExit" => {
                let event: told::TaskExit = read(self)?;
                of(event.container_id)
                    .text("id", event.id)
                    .number("pid", event.pid)
                    .number("exit_status", event.exit_status)
                    .time("exited_at", event.exited_at)
            }
            "TaskOOM" => of(read::<told::TaskOom>(self)?.container_id),
            "TaskExecAdded" => {
                let event: told::TaskExecAdded = read(self)?;
                of(event.container_id).text("exec_id", event.exec_id)
            }
            "TaskExecStarted" => {
                let event: told::TaskExecStarted = read(self)?;
                of(event.container_id).text("exec_id", event.exec_id).number("pid", event.pid)
            }
            "TaskPaused" => of(read::<told::TaskPaused>(self)?.container_id),
            "TaskResumed" => of(read::<told::TaskResumed>(self)?.container_id),
            "TaskCheckpointed" => {
                let event: told::TaskCheckpointed = read(self)?;
                of(event.container_id).text("checkpoint", event.checkpoint)
            }
            _ => return None,
        };
        Some(Value::Object(fields.0))
    }
}
