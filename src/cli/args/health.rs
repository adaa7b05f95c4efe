//! Flags about health checks, which are not built yet: they are parsed, and refused where they ask for one.

use clap::Args;

use super::errors::{parse_one, unsupported};
use super::parse::{duration, number};
use crate::{Error, Result};

/// `--health-cmd` and its kin.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Health checks")]
pub struct HealthArgs {
    /// Command to run to check health
    #[arg(long, value_name = "string")]
    pub health_cmd: Option<String>,
    /// Time between running the check (ms|s|m|h) (default 0s)
    #[arg(long, value_name = "duration")]
    pub health_interval: Option<String>,
    /// Consecutive failures needed to report unhealthy
    #[arg(long, value_name = "int")]
    pub health_retries: Option<String>,
    /// Time between running the check during the start period (ms|s|m|h) (default 0s)
    #[arg(long, value_name = "duration")]
    pub health_start_interval: Option<String>,
    /// Start period for the container to initialize before starting health-retries countdown (ms|s|m|h) (default 0s)
    #[arg(long, value_name = "duration")]
    pub health_start_period: Option<String>,
    /// Maximum time to allow one check to run (ms|s|m|h) (default 0s)
    #[arg(long, value_name = "duration")]
    pub health_timeout: Option<String>,
    /// Disable any container-specified HEALTHCHECK
    #[arg(long)]
    pub no_healthcheck: bool,
}

impl HealthArgs {
    /// Nothing to fill in: no check ever runs.
    ///
    /// # Errors
    /// A value that does not parse, flags that contradict one another, and any flag that asks for a check.
    pub fn apply(self) -> Result<()> {
        let values = [
            (
                "--health-interval",
                &self.health_interval,
                duration::nanoseconds as fn(&str) -> Result<i64, String>,
            ),
            ("--health-timeout", &self.health_timeout, duration::nanoseconds),
            ("--health-retries", &self.health_retries, number::signed),
            ("--health-start-period", &self.health_start_period, duration::nanoseconds),
            ("--health-start-interval", &self.health_start_interval, duration::nanoseconds),
        ];
        let mut asked =
            self.health_cmd.as_deref().filter(|command| !command.is_empty()).map(|_| "--health-cmd");
        let mut negative = None;
        for (flag, text, parser) in values {
            let value = parse_one(text.as_deref(), flag, parser)?.unwrap_or_default();
            if value != 0 {
                asked = asked.or(Some(flag));
            }
            if value < 0 {
                negative = negative.or(Some(flag));
            }
        }
        match (asked, negative) {
            (Some(_), _) if self.no_healthcheck => {
                Err(Error::usage("--no-healthcheck conflicts with --health-* options"))
            }
            (_, Some(flag)) => Err(Error::usage(format!("{flag} cannot be negative"))),
            (Some(flag), None) => Err(unsupported(flag, "wharfie does not run health checks yet")),
            (None, None) => Ok(()),
        }
    }
}
