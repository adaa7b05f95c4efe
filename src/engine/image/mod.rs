//! Images: pull, load, save, import, tag, remove, list, inspect, and finding one by what a user wrote.

mod arrival;
mod commit;
mod content;
mod disk;
mod download;
mod import;
mod inspect;
mod lease;
mod list;
mod load;
mod local;
mod name;
mod pull;
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
pub use load::{Loaded, load};
pub use name::is_dangling;
pub use pull::{PullPolicy, PullRequest, Pulled, ensure, pull, remote_tags};
pub use remove::{RemoveOptions, Removed, remove};
pub use resolve::{ResolvedImage, every, find, platform, resolve};
pub use save::{Selected, save, select};
pub use tag::tag;
pub use unpack::ensure_unpacked;
