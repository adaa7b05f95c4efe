//! System calls.

pub mod accounts;
pub mod copy;
pub mod fork;
pub mod host;
pub mod inherited;
pub mod layers;
pub mod memory;
pub mod mount;
pub mod namespace;
pub mod process;
pub mod rootfs;
pub mod signal;
pub mod terminal;
pub mod traffic;
pub mod tree;
pub mod view;
