//! `stats`: what containers use, once or as it goes on.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;

use crate::cli::errors::EngineResult;
use crate::cli::{Context, names};
use crate::engine::Engine;
use crate::engine::container::{Container, Sampler, Status, Usage, find, is_sandbox, list, locate};
use crate::error::{Kind, Result};
use crate::output::format::{Column, Format, Listing};
use crate::output::units::{bytes_size, human_size_with_precision};
use crate::sys::terminal;

/// From one sample to the next, while they are shown.
const EVERY: Duration = Duration::from_secs(1);
/// From the first sample to the second: a share of the CPU is a difference, and the user waits for it.
const FIRST: Duration = Duration::from_millis(500);

/// Flags of `stats`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie stats\n  wharfie stats --no-stream web db\n  \
                  wharfie stats --no-stream --format '{{.Name}}: {{.CPUPerc}} {{.MemUsage}}'")]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
    /// Containers by name or id
    #[arg(value_name = "CONTAINER", add = names::running_containers())]
    containers: Vec<String>,
}

/// How it is shown.
#[derive(Debug, clap::Args)]
pub struct Flags {
    /// Show all containers (default shows just running)
    #[arg(short, long)]
    pub(in crate::cli) all: bool,
    /// Format output using a custom template: 'table', 'table TEMPLATE', 'json' or a Go template
    #[arg(long, value_name = "string")]
    format: Option<String>,
    /// Disable streaming stats and only pull the first result
    #[arg(long)]
    no_stream: bool,
    /// Do not truncate output
    #[arg(long)]
    no_trunc: bool,
}

/// A row: a container and its sample.
pub(in crate::cli) struct Row {
    /// What the user called it; the id of one that was not named.
    reference: String,
    id: String,
    name: String,
    usage: Option<Usage>,
}

/// docker's `stats`.
const LISTING: Listing<Row> = Listing {
    type_name: "*container.statsContext",
    columns: &[
        Column {
            name: "BlockIO",
            header: "BLOCK I/O",
            value: |row| sized(row, "--", |usage| format!("{} / {}", size(usage.read), size(usage.written))),
        },
        Column { name: "CPUPerc", header: "CPU %", value: |row| cpu(row).into() },
        Column { name: "Container", header: "CONTAINER", value: |row| row.reference.as_str().into() },
        Column { name: "ID", header: "CONTAINER ID", value: |row| row.id.as_str().into() },
        Column {
            name: "MemPerc",
            header: "MEM %",
            value: |row| sized(row, "--", |usage| percent(usage.memory_percent())),
        },
        Column {
            name: "MemUsage",
            header: "MEM USAGE / LIMIT",
            value: |row| {
                sized(row, "-- / --", |usage| {
                    format!("{} / {}", bytes_size(usage.memory as f64), bytes_size(usage.memory_limit as f64))
                })
            },
        },
        Column { name: "Name", header: "NAME", value: |row| row.name.as_str().into() },
        Column {
            name: "NetIO",
            header: "NET I/O",
            value: |row| sized(row, "--", |usage| format!("{} / {}", size(usage.received), size(usage.sent))),
        },
        Column {
            name: "PIDs",
            header: "PIDS",
            value: |row| sized(row, "--", |usage| usage.pids.to_string()),
        },
    ],
    methods: &[],
    table: &["ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"],
    quiet: "ID",
    raw: "",
};

fn sized(row: &Row, unknown: &str, show: impl Fn(&Usage) -> String) -> serde_json::Value {
    row.usage.as_ref().map_or_else(|| unknown.to_owned(), show).into()
}

fn cpu(row: &Row) -> String {
    row.usage.and_then(|usage| usage.cpu).map_or_else(|| "--".into(), percent)
}

fn percent(value: f64) -> String {
    format!("{value:.2}%")
}

fn size(bytes: u64) -> String {
    human_size_with_precision(bytes as f64, 3)
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let format = format(&args.flags, cx)?;
    let engine = cx.engine().await?;
    if args.containers.is_empty() {
        return show(&engine, (&args.flags, format), None, cx).await;
    }
    let found = join_all(args.containers.iter().map(|reference| locate(&engine, reference))).await;
    let mut named = Vec::new();
    for (reference, found) in args.containers.iter().zip(found) {
        named.push((reference.clone(), found.told()?.1));
    }
    show(&engine, (&args.flags, format), Some(named), cx).await
}

/// How rows are written.
pub(in crate::cli) fn format(flags: &Flags, cx: &mut Context<'_>) -> Result<Format<Row>> {
    let format = cx.format(flags.format.as_deref(), false, |file| file.stats_format)?;
    Format::parse(format.as_deref(), false, LISTING)
}

/// Show what these containers use, each with what the user called it; with None what all of the namespace use.
pub(in crate::cli) async fn show(
    engine: &Engine,
    (flags, format): (&Flags, Format<Row>),
    named: Option<Vec<(String, Container)>>,
    cx: &mut Context<'_>,
) -> Result<u8> {
    let mut targets = Targets::new(engine, flags.all, named).await.told()?;
    let mut sampler = Sampler::new(engine);
    sampler.sample(&targets.containers).await;
    tokio::time::sleep(FIRST).await;
    let mut screen = Screen { begun: false };
    loop {
        let next = tokio::time::Instant::now() + EVERY;
        let usages = sampler.sample(&targets.containers).await;
        let rows = targets.rows(usages, flags.no_trunc);
        if flags.no_stream {
            // docker shows no titles of nothing.
            if !rows.is_empty() {
                format.write(cx.ui, &rows)?;
            }
            return Ok(0);
        }
        screen.show(&format, &rows, cx)?;
        tokio::time::sleep_until(next).await;
        targets.look_again(engine).await.told()?;
        if targets.are_gone() {
            return screen.clear(cx).map(|()| 0);
        }
    }
}

/// The containers that are shown.
struct Targets {
    containers: Vec<Container>,
    /// What the user called them, by id; None when nobody named any.
    named: Option<HashMap<String, String>>,
    all: bool,
}

impl Targets {
    async fn new(engine: &Engine, all: bool, named: Option<Vec<(String, Container)>>) -> Result<Self> {
        let mut targets = Self { containers: Vec::new(), named: None, all };
        let Some(found) = named else {
            targets.look_again(engine).await?;
            return Ok(targets);
        };
        let mut named = HashMap::new();
        for (reference, container) in found {
            if named.insert(container.id.clone(), reference).is_none() {
                targets.containers.push(container);
            }
        }
        targets.named = Some(named);
        Ok(targets)
    }

    /// What has come and gone since.
    async fn look_again(&mut self, engine: &Engine) -> Result<()> {
        match &self.named {
            None => {
                self.containers = list(engine).await?;
                let all = self.all;
                self.containers.retain(|container| {
                    let runs = container.status.is_alive() || container.status == Status::Unknown;
                    all || (runs && !is_sandbox(container))
                });
            }
            Some(_) => {
                let again = self.containers.iter().map(async |container| {
                    find(&engine.in_namespace(&container.namespace)?, &container.id).await
                });
                let again = join_all(again).await;
                self.containers.clear();
                for container in again {
                    match container {
                        Ok(container) => self.containers.push(container),
                        Err(error) if error.kind == Kind::NotFound => {}
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        Ok(())
    }

    /// Those that the user named are there no more.
    fn are_gone(&self) -> bool {
        self.named.is_some() && self.containers.is_empty()
    }

    fn rows(&self, usages: Vec<Option<Usage>>, no_trunc: bool) -> Vec<Row> {
        let short = |id: &str| id.get(..12).unwrap_or(id).to_owned();
        let rows = self.containers.iter().zip(usages).map(|(container, usage)| Row {
            reference: self
                .named
                .as_ref()
                .and_then(|named| named.get(&container.id).cloned())
                .unwrap_or_else(|| container.id.clone()),
            id: if no_trunc { container.id.clone() } else { short(&container.id) },
            name: container.name.clone(),
            usage,
        });
        rows.collect()
    }
}

/// Where the samples are shown: on a terminal each in place of the last, elsewhere one after the other.
struct Screen {
    begun: bool,
}

impl Screen {
    fn show(&mut self, format: &Format<Row>, rows: &[Row], cx: &mut Context<'_>) -> Result<()> {
        if !cx.ui.out_is_terminal() {
            format.write(cx.ui, rows)?;
            return cx.ui.flush();
        }
        let text = format.text(rows)?;
        let height = terminal::size().map_or(usize::MAX, |(_, height)| height.into());
        let clear = if self.begun { "" } else { "\x1b[2J" };
        self.begun = true;
        cx.ui.print(format_args!("{clear}{}", frame(&text, height)))?;
        cx.ui.flush()
    }

    /// Nothing is left to be shown.
    fn clear(&self, cx: &mut Context<'_>) -> Result<()> {
        if self.begun { cx.ui.print("\x1b[H\x1b[J") } else { Ok(()) }
    }
}

/// A screen full of it from the upper left corner on, each line and what is below cleared of the last one. What
/// would make the terminal scroll is left out.
fn frame(text: &str, height: usize) -> String {
    let lines = text.lines().take(height.saturating_sub(1).max(1));
    let lines: String = lines.map(|line| format!("{line}\x1b[K\n")).collect();
    format!("\x1b[H{lines}\x1b[J")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::ui::Ui;

    fn rows() -> Vec<Row> {
        let row = |name: &str, usage| Row {
            reference: name.to_owned(),
            id: "0123456789ab".into(),
            name: name.to_owned(),
            usage,
        };
        let usage = Usage {
            cpu: Some(12.345),
            memory: 3 << 20,
            memory_limit: 64 << 20,
            received: 1_234,
            sent: 0,
            read: 4_096,
            written: 1_000_000,
            pids: 5,
        };
        vec![row("web", Some(usage)), row("hung", None)]
    }

    #[test]
    fn rows_are_dockers() {
        for (format, expected) in [
            (
                None,
                "CONTAINER ID   NAME      CPU %     MEM USAGE / LIMIT   MEM %     NET I/O       BLOCK I/O     PIDS\n\
                 0123456789ab   web       12.35%    3MiB / 64MiB        4.69%     1.23kB / 0B   4.1kB / 1MB   5\n\
                 0123456789ab   hung      --        -- / --             --        --            --            --\n",
            ),
            (
                Some("json"),
                "{\"BlockIO\":\"4.1kB / 1MB\",\"CPUPerc\":\"12.35%\",\"Container\":\"web\",\"ID\":\"0123456789ab\",\
                 \"MemPerc\":\"4.69%\",\"MemUsage\":\"3MiB / 64MiB\",\"Name\":\"web\",\"NetIO\":\"1.23kB / 0B\",\"PIDs\":\"5\"}\n\
                 {\"BlockIO\":\"--\",\"CPUPerc\":\"--\",\"Container\":\"hung\",\"ID\":\"0123456789ab\",\"MemPerc\":\"--\",\
                 \"MemUsage\":\"-- / --\",\"Name\":\"hung\",\"NetIO\":\"--\",\"PIDs\":\"--\"}\n",
            ),
            (Some("table {{.Container}}\t{{.PIDs}}"), "CONTAINER   PIDS\nweb         5\nhung        --\n"),
        ] {
            let (mut ui, captured) = Ui::captured();
            Format::parse(format, false, LISTING).unwrap().write(&mut ui, &rows()).unwrap();
            assert_eq!(captured.out(), expected);
        }
    }

    #[test]
    fn a_frame_clears_the_last_one_and_does_not_scroll() {
        assert_eq!(frame("a\nb\n", 24), "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J");
        assert_eq!(frame("a\nb\nc\n", 3), "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J");
    }
}
