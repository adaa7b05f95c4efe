//! The verbs of containers.

pub mod attach;
pub mod create;
pub mod exec;
mod filter;
mod foreign;
pub mod healthcheck;
pub mod inspect;
pub mod kill;
pub mod list;
pub mod logs;
mod merged;
pub mod pause;
pub mod port;
pub mod prune;
pub mod remove;
pub mod rename;
pub mod restart;
mod row;
pub mod run;
pub mod session;
pub mod start;
pub mod stats;
pub mod stop;
pub mod top;
pub mod update;
pub mod wait;
