//! Sizes, durations and times as docker and Go write and read them.

mod duration;
mod size;
mod time;

pub use duration::{ago, go_duration, human_duration, parse_duration};
pub use size::{bytes_size, human_size, human_size_with_precision, parse_human_size, parse_ram};
pub use time::{go_time, parse_moment, rfc3339_nano};
