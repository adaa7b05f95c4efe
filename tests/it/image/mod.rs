//! The verbs of images, against containerd and registries of the test's own.

mod archives;
mod faulty;
mod kubernetes;
mod loading;
mod look;
mod memory;
mod names;
mod prune;
mod pull;
mod rows;
mod unpack;
mod usage;
