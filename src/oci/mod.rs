//! Pure: a request and an image configuration go in, a runtime specification comes out. No I/O.

pub mod request;
