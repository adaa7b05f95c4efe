//! Pods, made by CRI as a kubelet makes them, and read without it.

mod addressing;
mod lifecycle;
mod list;
mod logs;
mod ps;
