//! Locks and atomic files.
