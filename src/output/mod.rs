//! Bytes on a terminal: tables, templates, units, progress. Knows no containerd type.

pub mod format;
pub mod inspect;
pub mod notation;
pub mod raw_json;
pub mod table;
pub mod template;
pub mod ui;
pub mod units;

pub use format::{Column, Format, Listing, Method};
pub use inspect::{Inspector, Object};
pub use ui::Ui;
