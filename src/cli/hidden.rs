//! Modes that nobody types: this program as a container's monitor, and as what a monitor starts at the end
//! for health checks, as the resolver of containers' names, and at the far end of an ssh connection.

use std::ffi::OsString;
use std::path::Path;

use crate::engine::container::{aftermath, health};
use crate::monitor::{self, AFTERMATH_ARGUMENT, HEALTH_ARGUMENT, MONITOR_ARGUMENT, resolver};
use crate::remote::{NODE_ARGUMENT, end_with_the_reader};

/// Run the hidden mode that `arguments` ask for. None when they ask for none.
pub fn run(arguments: &[OsString]) -> Option<u8> {
    let path = Path::new(arguments.get(2)?);
    match arguments.get(1)?.to_str()? {
        MONITOR_ARGUMENT => Some(monitor::run(path, &aftermath::disconnect)),
        AFTERMATH_ARGUMENT => Some(aftermath::run(path)),
        HEALTH_ARGUMENT => Some(health::run(path)),
        resolver::ARGUMENT => Some(resolver::run(path)),
        NODE_ARGUMENT => {
            end_with_the_reader();
            Some(super::main(arguments.get(2..)?.to_vec()))
        }
        _ => None,
    }
}
