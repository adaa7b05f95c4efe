//! The command tree as a whole.

mod inventory;
mod properties;
