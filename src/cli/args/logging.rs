//! Flags about where output goes.

use clap::Args;

use super::errors::refused;
use super::parse::{keyvalue, size};
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
    /// Fills the request's part. Whether the driver exists is the monitor's to say.
    ///
    /// # Errors
    /// Options that contradict the driver or do not parse.
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
        if matches!(log.driver.as_str(), "json-file" | "local") {
            for (key, value) in &log.options {
                check(&log.driver, key, value)?;
            }
        }
        Ok(())
    }
}

/// An option of the drivers that write files.
fn check(driver: &str, key: &str, value: &str) -> Result<()> {
    let sound = match key {
        "max-size" => value == "-1" || size::ram_bytes(value).is_ok_and(|size| size > 0),
        "max-file" => value.parse::<u32>().is_ok_and(|files| files > 0),
        "compress" => matches!(value, "true" | "false"),
        "labels" | "labels-regex" | "env" | "env-regex" | "tag" if driver == "json-file" => true,
        _ => return Err(refused(format!("unknown log opt '{key}' for {driver} log driver"))),
    };
    if sound { Ok(()) } else { Err(refused(format!("invalid value for '{key}': {value}"))) }
}
