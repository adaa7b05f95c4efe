//! `doctor`: what is wrong with this node and what to do about it, on one screen.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::Context;
use super::args::parse::duration::nanoseconds;
use crate::engine::doctor::{self, Finding, Node, Severity, bundle};
use crate::error::{Error, Result};
use crate::output::ui::visible;

/// Flags of `doctor`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes:\n  0  nothing is wrong (notes may be there)\n  1  warnings\n  2  errors\n\n\
    The fields of --json: node, time, severity, findings; of each finding: check, severity (ok, note, warning, error), \
    subject, message, next (the command that shows more or repairs it, or null).\n\n\
    Examples:\n  wharfie doctor\n  wharfie doctor -q\n  wharfie doctor --json\n  wharfie doctor --bundle node.tar.gz"
)]
pub struct Args {
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
    /// Show only warnings and errors
    #[arg(short, long)]
    quiet: bool,
    /// Also write the findings, configurations, lists and logs to this archive, secrets removed
    #[arg(long, value_name = "FILE.tar.gz")]
    bundle: Option<PathBuf>,
    /// Give up on what has not answered by then
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = limit)]
    timeout: Duration,
}

fn limit(text: &str) -> Result<Duration, String> {
    let nanoseconds = nanoseconds(text)?;
    let limit = u64::try_from(nanoseconds).ok().map(Duration::from_nanos);
    limit.filter(|limit| *limit >= Duration::from_millis(100)).ok_or_else(|| "100ms is the least".into())
}

/// Run the verb. It takes the connection without the recovery that other verbs begin with: it changes nothing.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let report = doctor::examine(Arc::clone(&cx.config), Node::new("/"), args.timeout).await;
    if args.json {
        let text = serde_json::to_string_pretty(&json!({
            "node": rustix::system::uname().nodename().to_string_lossy(),
            "time": jiff::Timestamp::now().to_string(),
            "severity": report.severity(),
            "findings": shown(&report.findings, args.quiet),
        }))
        .map_err(|cause| Error::failed(format!("encode JSON: {cause}")))?;
        cx.ui.line(text)?;
    } else {
        let paint = Paint { colour: cx.ui.out_color() };
        cx.ui.print(screen(&report.findings, args.quiet, paint))?;
    }
    cx.ui.flush()?;
    if let Some(path) = args.bundle {
        let path = cx.environment.directory.join(path);
        let contents = bundle::write(&report, &path).await?;
        cx.ui.say(format_args!("{}: {} files, secrets removed", path.display(), contents))?;
    }
    Ok(match report.severity() {
        Severity::Ok | Severity::Note => 0,
        Severity::Warning => 1,
        Severity::Error => 2,
    })
}

/// The worst first, else in the order of the checks; with `quiet` only what is to be done something about.
fn shown(findings: &[Finding], quiet: bool) -> Vec<&Finding> {
    let mut shown: Vec<&Finding> = findings.iter().filter(|finding| !quiet || finding.is_problem()).collect();
    shown.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    shown
}

/// A line a finding, its next command below, and a summary at the end.
fn screen(findings: &[Finding], quiet: bool, paint: Paint) -> String {
    let mut text = String::new();
    let shown = shown(findings, quiet);
    for finding in &shown {
        let subject =
            if finding.subject.is_empty() { String::new() } else { format!("{}: ", finding.subject) };
        let mark = paint.mark(finding.severity);
        let said = visible(&format!("{subject}{}", finding.message));
        text.push_str(&format!("{mark} {:<11} {said}\n", finding.check));
        if let Some(next) = finding.next.as_deref().filter(|_| finding.severity > Severity::Ok) {
            text.push_str(&format!("{:18}-> {}\n", "", visible(next)));
        }
    }
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    if !quiet {
        let plural = |number: usize| if number == 1 { "" } else { "s" };
        text.push_str(&match (errors, warnings) {
            (0, 0) => "\nNothing is wrong\n".to_owned(),
            _ => format!("\n{errors} error{}, {warnings} warning{}\n", plural(errors), plural(warnings)),
        });
    }
    text
}

/// The marks, in colour or not.
#[derive(Debug, Clone, Copy)]
struct Paint {
    colour: bool,
}

impl Paint {
    fn mark(self, severity: Severity) -> String {
        let (word, colour) = match severity {
            Severity::Ok => ("ok", 32),
            Severity::Note => ("note", 36),
            Severity::Warning => ("WARN", 33),
            Severity::Error => ("ERROR", 31),
        };
        if self.colour { format!("\x1b[{colour}m{word:<5}\x1b[0m") } else { format!("{word:<5}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Vec<Finding> {
        let finding = |check, severity, subject: &str, next: Option<&str>| Finding {
            check,
            severity,
            subject: subject.into(),
            message: format!("is \x1b[5m {check}"),
            next: next.map(str::to_owned),
        };
        vec![
            finding("cri", Severity::Ok, "", Some("unseen")),
            finding("disk", Severity::Warning, "/x", Some("df")),
            finding("kernel", Severity::Error, "", None),
        ]
    }

    #[test]
    fn the_worst_comes_first_with_its_next_command() {
        let plain = screen(&findings(), false, Paint { colour: false });
        assert_eq!(
            plain,
            "ERROR kernel      is \\u{1b}[5m kernel\nWARN  disk        /x: is \\u{1b}[5m disk\n                  -> df\n\
             ok    cri         is \\u{1b}[5m cri\n\n1 error, 1 warning\n"
        );
        let coloured = screen(&findings(), true, Paint { colour: true });
        assert!(coloured.starts_with("\x1b[31mERROR\x1b[0m kernel"), "{coloured}");
        assert!(coloured.contains("\x1b[33mWARN \x1b[0m disk") && !coloured.contains("cri"), "{coloured}");
        let well = screen(&findings()[..1], false, Paint { colour: false });
        assert!(well.ends_with("cri\n\nNothing is wrong\n"), "{well}");
    }

    #[test]
    fn a_limit_is_a_duration() {
        assert_eq!(limit("1.5s"), Ok(Duration::from_millis(1500)));
        assert!(limit("1ms").is_err() && limit("-1s").is_err() && limit("x").is_err());
    }
}
