//! What every `prune` shares: its flags, its filters, its question, and its last line.

use std::io::BufRead;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Context;
use super::errors::EngineResult;
use crate::engine::Engine;
use crate::engine::prune::{Kind, PruneFilters, note};
use crate::error::{Error, Result};
use crate::output::units::{human_size, parse_moment};

/// Flags of every `prune`.
#[derive(Debug, Default, clap::Args)]
pub struct PruneArgs {
    /// Show what would be removed, with its size, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Provide filter values (e.g. "until=<timestamp>", "label=<key>", "label!=<key>=<value>")
    #[arg(long, value_name = "filter")]
    pub filter: Vec<String>,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    pub force: bool,
}

impl PruneArgs {
    /// With the filters that docker's config.json asks for at every prune. What the command line says against
    /// them wins.
    pub fn with_configured(mut self, cx: &mut Context<'_>) -> Result<Self> {
        let configured = cx.docker_file()?.prune_filters;
        self.filter.extend(beside(&self.filter, configured));
        Ok(self)
    }

    /// The filters, as docker reads them; `known` are the keys that this kind of thing has.
    ///
    /// # Errors
    /// A key that is not known, a moment that is none, two of them.
    pub fn filters(&self, known: &[&str], now: Timestamp) -> Result<PruneFilters> {
        let mut filters = PruneFilters::default();
        for text in &self.filter {
            let (key, value) = text.split_once('=').ok_or_else(|| {
                Error::usage(format!(
                    "invalid argument {text:?} for \"--filter\" flag: invalid filter '{text}'"
                ))
                .hint("write it as KEY=VALUE")
            })?;
            let (key, value) = (key.trim().to_lowercase(), value.trim().to_owned());
            match key.as_str() {
                _ if !known.contains(&key.trim_end_matches('!')) => {
                    return Err(Error::failed(format!("Error response from daemon: invalid filter '{key}'"))
                        .hint(format!("the filters are {}", known.join(", "))));
                }
                "label" => filters.labels.push(value),
                "label!" => filters.without_labels.push(value),
                "until" if filters.until.is_some() => {
                    return Err(Error::failed(
                        "Error response from daemon: more than one until filter specified",
                    ));
                }
                "until" => filters.until = Some(parse_moment(&value, now, &TimeZone::system())?),
                _ => {
                    return Err(Error::failed(format!("Error response from daemon: invalid filter '{key}'")));
                }
            }
        }
        Ok(filters)
    }

    /// Whether to go on: forced, only looking, or the user says yes to `warning`. docker's question, on stdout.
    pub fn confirmed(&self, warning: &str, cx: &mut Context<'_>) -> Result<bool> {
        if self.force || self.dry_run {
            return Ok(true);
        }
        cx.ui.print(format_args!("{warning} [y/N] "))?;
        cx.ui.flush()?;
        let mut answer = String::new();
        let read = std::io::stdin().lock().read_line(&mut answer);
        read.map_err(|cause| Error::failed(format!("read the answer: {}", crate::error::reason(&cause))))?;
        Ok(answer.trim().eq_ignore_ascii_case("y"))
    }
}

/// Those of the configured filters that the given ones do not contradict.
fn beside(given: &[String], configured: Vec<String>) -> Vec<String> {
    let has = |wanted: &str| given.iter().any(|text| text == wanted);
    let stays = |text: &String| match text.split_once('=') {
        Some(("label", value)) => !has(&format!("label!={value}")),
        Some(("label!", value)) => !has(&format!("label={value}")),
        Some(("until", _)) => !given.iter().any(|text| text.starts_with("until=")),
        _ => true,
    };
    configured.into_iter().filter(stays).collect()
}

/// `Deleted Containers:` and a line each; nothing for nothing.
pub fn paragraph(title: &str, lines: &[String], cx: &mut Context<'_>) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    cx.ui.line(title)?;
    lines.iter().try_for_each(|line| cx.ui.line(line))?;
    cx.ui.line("")
}

/// What a prune has removed, or would. What could be removed is told before what could not.
#[derive(Debug, Default)]
pub struct Pruned {
    lines: Vec<String>,
    bytes: u64,
    failed: Option<Error>,
}

impl Pruned {
    /// One thing, as `line` with its `bytes`: whether it was removed, or why not.
    pub fn add(&mut self, removed: Result<bool>, line: String, bytes: u64) {
        match removed {
            Ok(true) => {
                self.lines.push(line);
                self.bytes += bytes;
            }
            Ok(false) => {}
            Err(error) => self.failed = self.failed.take().or(Some(error)),
        }
    }

    /// Note what has happened and tell it, `things` being docker's word (`Containers`); gives the bytes.
    ///
    /// # Errors
    /// The first thing that could not be removed.
    pub fn tell(
        self,
        engine: &Engine,
        (kind, things): (Kind, &str),
        dry_run: bool,
        cx: &mut Context<'_>,
    ) -> Result<u64> {
        if !dry_run {
            note(engine, kind, self.bytes);
        }
        let title =
            if dry_run { format!("{things} that would be deleted:") } else { format!("Deleted {things}:") };
        paragraph(&title, &self.lines, cx)?;
        self.failed.map_or(Ok(self.bytes), Err).told()
    }
}

/// The last line of every prune.
pub fn total(bytes: u64, dry_run: bool, cx: &mut Context<'_>) -> Result<()> {
    let lead = if dry_run { "Total reclaimable space" } else { "Total reclaimed space" };
    cx.ui.line(format_args!("{lead}: {}", human_size(bytes as f64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_wins_over_the_file() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let file = texts(&["label!=keep", "label=a", "until=24h"]);
        for (given, expected) in [
            (&[][..], &["label!=keep", "label=a", "until=24h"][..]),
            (&["label=keep", "until=1h"], &["label=a"]),
            (&["label!=a"], &["label!=keep", "until=24h"]),
        ] {
            assert_eq!(beside(&texts(given), file.clone()), texts(expected), "{given:?}");
        }
    }

    #[test]
    fn filters_are_dockers() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let args = |texts: &[&str]| PruneArgs {
            filter: texts.iter().map(|text| (*text).to_owned()).collect(),
            ..PruneArgs::default()
        };
        let filters = args(&["until=1h", "label=a", "label!=b=c"]).filters(&["until", "label"], now).unwrap();
        assert_eq!(filters.until, Timestamp::from_second(1_000_000 - 3600).ok());
        assert_eq!((filters.labels, filters.without_labels), (vec!["a".into()], vec!["b=c".into()]));
        for (texts, known, message) in [
            (
                &["nonsense"][..],
                &["until"][..],
                "invalid argument \"nonsense\" for \"--filter\" flag: invalid filter 'nonsense'",
            ),
            (&["colour=red"], &["until"], "Error response from daemon: invalid filter 'colour'"),
            (&["until=1h"], &["label"], "Error response from daemon: invalid filter 'until'"),
            (&["until!=1h"], &["until"], "Error response from daemon: invalid filter 'until!'"),
            (
                &["until=1h", "until=2h"],
                &["until"],
                "Error response from daemon: more than one until filter specified",
            ),
            (&["until=soon"], &["until"], "failed to parse value as time or duration: \"soon\""),
        ] {
            assert_eq!(args(texts).filters(known, now).unwrap_err().message, message);
        }
    }
}
