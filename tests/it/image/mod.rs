//! The verbs of images, against containerd and registries of the test's own.

mod archives;
mod faulty;
mod look;
mod names;
mod prune;
mod pull;
mod rows;
mod unpack;
mod usage;
