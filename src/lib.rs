//! wharfie: docker, nerdctl, crictl and ctr in one binary, for a machine that runs containerd.
//!
//! The rooms, and which outside thing each one owns. A room may name those below it, never those above:
//!
//! | room | owns |
//! |---|---|
//! | [`cli`] | flags, printed words, exit codes: one file a verb |
//! | [`engine`] | what the verbs mean: requests in, values and progress out |
//! | [`monitor`] | the companion process of one container |
//! | [`cri`] | what a kubelet asks of containerd |
//! | [`containerd`] | gRPC and protobuf |
//! | [`registry`] | HTTP |
//! | [`image`] | layers and archives |
//! | [`net`] | links, addresses, rules, ports |
//! | [`oci`] | pure: request and image configuration to runtime specification |
//! | [`remote`] | other machines, through the system's ssh |
//! | [`output`] | the terminal: tables, templates, units, progress |
//! | [`journal`] | what has happened, in docker's words |
//! | [`config`], [`store`], [`sys`] | files and environment, locks and atomic writes, system calls |

pub mod cli;
pub mod config;
pub mod containerd;
pub mod cri;
pub mod engine;
pub mod error;
pub mod image;
pub mod journal;
pub mod monitor;
pub mod net;
pub mod oci;
pub mod output;
pub mod registry;
pub mod remote;
pub mod store;
pub mod sys;

pub use error::{Error, Kind, Result};
