//! Archives of images, and tars that become images: read as hostile, written so that every loader takes them.

mod context;
mod entries;
mod input;
mod layer;
mod layout;
mod read;
mod rootfs;
mod tree;
mod write;

pub use context::{export_context, import_context};
pub use input::{Compression, decompressed};
pub use layer::{Applied, apply_layer};
pub use layout::{CONTAINERD_NAME, DockerImage, Layout, NamedTarget, interpret};
pub use read::{Blob, Contents, Sink, index_images, read_images};
pub use rootfs::{RootfsTar, read_rootfs};
pub use tree::{Counted, TreeWriter, read_tree};
pub use write::ArchiveWriter;
