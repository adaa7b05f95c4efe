//! Flags about health checks.

use clap::Args;

use super::errors::parse_one;
use super::parse::{duration, number};
use crate::oci::health::SHORTEST;
use crate::oci::request::{ContainerRequest, HealthCheck};
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
    /// Fills the request's part: what the flags say, before the image is known.
    ///
    /// # Errors
    /// A value that does not parse, and flags that contradict one another.
    pub fn apply(self, request: &mut ContainerRequest) -> Result<()> {
        let time = |text: &Option<String>, flag| {
            parse_one(text.as_deref(), flag, duration::nanoseconds).map(Option::unwrap_or_default)
        };
        let mut check = HealthCheck {
            test: Vec::new(),
            interval: time(&self.health_interval, "--health-interval")?,
            timeout: time(&self.health_timeout, "--health-timeout")?,
            start_period: time(&self.health_start_period, "--health-start-period")?,
            start_interval: time(&self.health_start_interval, "--health-start-interval")?,
            retries: parse_one(self.health_retries.as_deref(), "--health-retries", number::signed)?
                .unwrap_or_default(),
        };
        if let Some(line) = self.health_cmd.filter(|line| !line.is_empty()) {
            check.test = vec!["CMD-SHELL".into(), line];
        }
        if self.no_healthcheck {
            if check != HealthCheck::default() {
                return Err(Error::usage("--no-healthcheck conflicts with --health-* options"));
            }
            request.health = Some(HealthCheck::none());
        } else if check != HealthCheck::default() {
            verify(&check)?;
            request.health = Some(check);
        }
        Ok(())
    }
}

/// docker's checks, those of its command line before those of its daemon.
fn verify(check: &HealthCheck) -> Result<()> {
    let durations = [
        ("--health-interval", "Interval", check.interval),
        ("--health-timeout", "Timeout", check.timeout),
        ("--health-start-period", "StartPeriod", check.start_period),
        ("--health-start-interval", "StartInterval", check.start_interval),
    ];
    let negative = durations.iter().find(|(_, _, value)| *value < 0).map(|(flag, ..)| *flag);
    if let Some(flag) = negative.or((check.retries < 0).then_some("--health-retries")) {
        return Err(Error::usage(format!("{flag} cannot be negative")));
    }
    match durations.iter().find(|(_, _, value)| (1..SHORTEST).contains(value)) {
        Some((_, name, _)) => Err(Error::usage(format!("{name} in Healthcheck cannot be less than 1ms"))),
        None => Ok(()),
    }
}
