//! Flags about ports.

use std::collections::HashSet;

use clap::Args;

use super::parse::port;
use crate::oci::request::ContainerRequest;
use crate::{Error, Result};

/// `-p`, `-P` and `--expose`.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Ports")]
pub struct PortArgs {
    /// Publish a container's port(s) to the host
    #[arg(short, long, value_name = "list")]
    pub publish: Vec<String>,
    /// Publish all exposed ports to random ports
    #[arg(short = 'P', long)]
    pub publish_all: bool,
    /// Expose a port or a range of ports
    #[arg(long, value_name = "list")]
    pub expose: Vec<String>,
}

impl PortArgs {
    /// Fills the request's part, a range as its single ports.
    ///
    /// # Errors
    /// A value that does not parse.
    pub fn apply(self, request: &mut ContainerRequest) -> Result<()> {
        for text in &self.publish {
            let ports = port::publish(text).map_err(Error::usage)?;
            request.network.ports.extend(ports);
        }
        request.network.publish_all = self.publish_all;
        // A set, since a range may hold every port there is.
        let mut seen = HashSet::new();
        for text in &self.expose {
            let ports = port::expose(text).map_err(Error::usage)?;
            request.network.expose.extend(ports.into_iter().filter(|port| seen.insert(port.clone())));
        }
        Ok(())
    }
}
