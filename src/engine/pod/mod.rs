//! Pods of a Kubernetes node, read from containerd's own records: reading needs no CRI, kubelet or cluster.

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
mod survey;

pub use find::{find, find_container, is_pod_form};
pub use list::{list, of_containers};
pub use model::{Member, NAMESPACE, Pod};
pub use survey::survey;
