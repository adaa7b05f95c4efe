//! Layers and archives: digests, media types, platforms, docker and OCI archives, root file-system tars.

pub mod archive;
pub mod change;
pub mod digest;
pub mod media;
pub mod platform;
pub mod progress;
pub mod recompress;
