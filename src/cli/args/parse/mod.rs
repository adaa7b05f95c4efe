//! The values of flags: from text to meaning, each a pure function of the text. An error is the cause alone,
//! in docker's words; the caller says which flag it belongs to.

pub mod address;
pub mod csv;
pub mod device;
pub mod duration;
pub mod gpu;
pub mod keys;
pub mod keyvalue;
pub mod limit;
pub mod link;
pub mod mount;
pub mod name;
pub mod network;
pub mod number;
pub mod path;
pub mod port;
pub mod restart;
pub mod security;
pub mod signal;
pub mod size;
pub mod tmpfs;
pub mod volume;

/// What a parser gives: the value, or the cause in docker's words.
pub type Parsed<T> = Result<T, String>;
