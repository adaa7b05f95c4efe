//! Images: pull, load, save, import, tag, remove, list, inspect, and finding one by what a user wrote.

mod commit;
mod content;
mod disk;
mod download;
mod import;
mod inspect;
mod lease;
mod list;
mod load;
mod mounted;
mod name;
mod pull;
mod push;
mod remote;
mod remove;
mod resolve;
mod save;
mod tag;
mod unpack;
mod usage;

pub use commit::{Commit, Description, Format, NewLayer};
pub use disk::{ImageUsage, prunable, prune, shared, total, usage};
pub use import::{ImportRequest, Source, import};
pub use inspect::{InspectedImage, Metadata, RootFs, inspect};
pub use list::{ImageFilters, ImageSummary, PlatformSummary, list};
pub use load::{LoadRequest, Loaded, load};
pub use mounted::{mount_at, unmount_at};
pub use name::is_dangling;
pub use pull::{PullOptions, PullPolicy, PullRequest, Pulled, ensure, pull, remote_tags};
pub use push::{PushRequest, Pushed, push, push_object};
pub use remote::{RemoteBlob, remote_blob, remote_manifest};
pub use remove::{RemoveOptions, Removed, remove};
pub use resolve::{ResolvedImage, every, find, platform, platforms, read, resolve};
pub use save::{Selected, save, select};
pub use tag::tag;
pub use unpack::ensure_unpacked;
