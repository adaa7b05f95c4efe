//! The integration tests: the wharfie binary against a private containerd, as its user sees it.
//!
//! [`engine::TestEngine`] gives each test a machine of its own. `WHARFIE_CONTAINERD=1.6|1.7|2.1` chooses
//! containerd's version. CONTRIBUTING.md tells how to write a test.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test that cannot go on fails, and says why where cargo shows it"
)]

mod call;
mod client;
mod container;
mod cri;
mod crictl;
mod ctr;
mod debug;
mod doctor;
mod engine;
mod faults;
mod fields;
mod filter;
mod harness;
mod hostile;
mod image;
mod images;
mod leaks;
mod names;
mod nodes;
mod pod;
mod registry;
mod registry_verbs;
mod rooms;
mod setup;
mod smoke;
mod system;
mod terminal;
mod world;
