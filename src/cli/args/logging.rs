//! Flags about where output goes.

use clap::Args;

use super::errors::refused;
use super::parse::keyvalue;
use super::process::given;
use crate::oci::request::ContainerRequest;
use crate::{Error, Result};

/// `--log-driver` and `--log-opt`.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Logging")]
pub struct LoggingArgs {
    /// Logging driver for the container
    #[arg(long, value_name = "string")]
    pub log_driver: Option<String>,
    /// Log driver options
    #[arg(long, value_name = "list")]
    pub log_opt: Vec<String>,
}

impl LoggingArgs {
    /// Fills the request's part.
    ///
    /// # Errors
    /// A driver that is not known, options that contradict it or do not parse.
    pub fn apply(self, request: &mut ContainerRequest) -> Result<()> {
        let log = &mut request.log;
        if let Some(driver) = given(self.log_driver) {
            log.driver = driver;
        }
        if log.driver == "none" && !self.log_opt.is_empty() {
            return Err(Error::usage("invalid logging opts for driver none"));
        }
        for text in &self.log_opt {
            let (key, value) = keyvalue::split(text);
            log.options.insert(key.to_owned(), value.unwrap_or_default().to_owned());
        }
        crate::monitor::log::validate(log).map_err(|error| refused(error.message))
    }
}
