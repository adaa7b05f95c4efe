//! Pods of a Kubernetes node, read from containerd's own records: nothing here needs CRI, a kubelet or a cluster.

mod find;
pub mod inspect;
pub mod kubelet;
pub mod lifecycle;
mod list;
pub mod logs;
pub mod manifest;
mod model;
pub mod port_forward;
mod record;
pub mod request;

pub use find::{find, find_container, is_pod_form};
pub use list::{list, of_containers};
pub use model::{Member, NAMESPACE, Pod};
