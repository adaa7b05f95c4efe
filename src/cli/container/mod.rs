//! The verbs of containers.

pub mod attach;
pub mod create;
pub mod exec;
mod filter;
pub mod inspect;
pub mod kill;
pub mod list;
pub mod logs;
mod pattern;
pub mod port;
pub mod remove;
pub mod restart;
mod row;
pub mod run;
pub mod session;
pub mod start;
pub mod stop;
pub mod top;
pub mod wait;
