//! What this machine's containerd is, and what this program makes of it.

mod info;
mod runtime;
mod version;

pub use info::{Info, info};
pub use version::{API_VERSION, Component, Identity, Platform, ServerVersion, version};
