//! `wait`: block until containers end, then print their exit codes; or until they are in some other state.

use std::time::Duration;

use crate::cli::errors::from_engine;
use crate::cli::exit::Failures;
use crate::cli::{Context, names};
use crate::engine::Engine;
use crate::engine::container::health::{Ready, until_ready};
use crate::engine::container::{locate, wait, wait_for_next_exit, wait_until_removed};
use crate::error::{Error, Result};
use crate::output::units::parse_duration;

/// Flags of `wait`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie wait job && echo done\n  wharfie wait --condition healthy --timeout 30s db web"
)]
pub struct Args {
    /// What to wait for
    #[arg(
        long,
        value_name = "not-running|next-exit|removed|healthy",
        default_value = "not-running",
        hide_default_value = true
    )]
    condition: String,
    /// Give up after this time (seconds, or as in 1m30s); without it there is no limit
    #[arg(long, value_name = "duration")]
    timeout: Option<String>,
    /// Containers by name or id
    #[arg(required = true, value_name = "CONTAINER", add = names::containers())]
    containers: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    NotRunning,
    NextExit,
    Removed,
    Healthy,
}

/// Run the verb: one exit code a line, in the order of the names; `healthy` or `running` where that was waited
/// for.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let condition = condition(&args.condition)?;
    let limit = args.timeout.as_deref().map(limit).transpose()?;
    let engine = cx.engine().await?;
    let waits = args.containers.iter().map(|reference| one(&engine, reference, condition, limit));
    let ended = futures_util::future::join_all(waits).await;
    let mut failures = Failures::default();
    for result in ended {
        match result {
            Ok(text) => cx.ui.line(text)?,
            Err(error) => failures.add(cx, error)?,
        }
    }
    Ok(failures.code())
}

fn condition(text: &str) -> Result<Condition> {
    match text {
        "" | "not-running" => Ok(Condition::NotRunning),
        "next-exit" => Ok(Condition::NextExit),
        "removed" => Ok(Condition::Removed),
        "healthy" => Ok(Condition::Healthy),
        _ => Err(Error::usage(format!("invalid condition: {text:?}"))
            .hint("the conditions are not-running, next-exit, removed and healthy")),
    }
}

/// A number of seconds, as of docker's `--wait-timeout`, or a duration.
pub(super) fn limit(text: &str) -> Result<Duration> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let nanoseconds = parse_duration(text).ok().and_then(|nanoseconds| u64::try_from(nanoseconds).ok());
    nanoseconds.map(Duration::from_nanos).ok_or_else(|| {
        Error::usage(format!("invalid timeout: {text:?}")).hint("a number of seconds, or as in 1m30s")
    })
}

async fn one(
    engine: &Engine,
    reference: &str,
    condition: Condition,
    limit: Option<Duration>,
) -> Result<String> {
    let (engine, container) = locate(engine, reference).await?;
    let engine = &engine;
    let waiting = async {
        let status = match condition {
            Condition::NotRunning => wait(engine, &container).await?,
            Condition::NextExit => wait_for_next_exit(engine, &container).await?,
            Condition::Removed => wait_until_removed(engine, &container).await?,
            Condition::Healthy => return ready(engine, &container.id).await,
        };
        Ok(status.to_string())
    };
    within(limit, reference, waiting).await
}

async fn ready(engine: &Engine, id: &str) -> Result<String> {
    Ok(match until_ready(engine, id).await? {
        Ready::Healthy => "healthy".into(),
        Ready::Running => "running".into(),
    })
}

/// `waiting`, for so long at most.
async fn within<T>(
    limit: Option<Duration>,
    name: &str,
    waiting: impl Future<Output = Result<T>>,
) -> Result<T> {
    let Some(limit) = limit else { return waiting.await };
    match tokio::time::timeout(limit, waiting).await {
        Ok(done) => done,
        Err(_) => Err(Error::failed(format!("gave up waiting for container {name} after {limit:?}"))),
    }
}

/// `--wait` of `run` and `start`.
pub(super) async fn until_it_is_ready(
    engine: &Engine,
    (id, name): (&str, &str),
    limit: Option<Duration>,
) -> Result<()> {
    within(limit, name, until_ready(engine, id)).await.map(drop).map_err(from_engine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_seconds_or_durations() {
        for (text, expected) in [
            ("30", Some(Duration::from_secs(30))),
            ("0", Some(Duration::ZERO)),
            ("1m30s", Some(Duration::from_secs(90))),
            ("250ms", Some(Duration::from_millis(250))),
            ("-1s", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(limit(text).ok(), expected, "{text:?}");
        }
        assert!(condition("ready").is_err() && condition("healthy").is_ok());
    }
}
