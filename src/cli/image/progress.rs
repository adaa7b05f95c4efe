//! The progress of a pull: bars on a terminal, docker's lines elsewhere.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::image::progress::{Event, LayerState, Progress};
use crate::output::ui::Ui;

/// Shows a pull's progress while a verb waits for it.
pub struct Bars<'a> {
    shown: Mutex<Shown<'a>>,
}

struct Shown<'a> {
    ui: &'a mut Ui,
    /// Lines are the verb's own output.
    to_stdout: bool,
    quiet: bool,
    way: Way,
    /// Only of a terminal.
    bars: Option<MultiProgress>,
    layers: HashMap<String, Layer>,
}

/// What becomes of the layers, which has its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
    /// They are made anew.
    Anew,
}

struct Layer {
    state: LayerState,
    bar: Option<ProgressBar>,
}

impl<'a> Bars<'a> {
    /// For a verb that pulls on its way: everything is talk. Quiet: nothing is said.
    pub fn new(ui: &'a mut Ui, quiet: bool) -> Self {
        Self::over(ui, Way::In, quiet, false)
    }

    /// For a verb whose purpose is the pull: its lines are its output.
    pub fn to_stdout(ui: &'a mut Ui, quiet: bool) -> Self {
        Self::over(ui, Way::In, quiet, true)
    }

    /// For a verb that sends an image: its lines are its output.
    pub fn of_push(ui: &'a mut Ui, quiet: bool) -> Self {
        Self::over(ui, Way::Out, quiet, true)
    }

    /// For a verb that makes an image of another one: everything is talk.
    pub fn of_conversion(ui: &'a mut Ui) -> Self {
        Self::over(ui, Way::Anew, false, false)
    }

    fn over(ui: &'a mut Ui, way: Way, quiet: bool, to_stdout: bool) -> Self {
        let terminal = ui.err_is_terminal() && (!to_stdout || ui.out_is_terminal());
        let bars = (terminal && !quiet)
            .then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10)));
        Self { shown: Mutex::new(Shown { ui, to_stdout, quiet, way, bars, layers: HashMap::new() }) }
    }

    /// A line of talk, also where nothing else is said.
    pub fn talk(&self, line: &str) {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).say(line, true);
    }

    /// Leave the terminal to others.
    pub fn finish(&self) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for layer in shown.layers.values() {
            if let Some(bar) = layer.bar.as_ref().filter(|bar| !bar.is_finished()) {
                bar.abandon();
            }
        }
        shown.layers.clear();
    }
}

impl Progress for Bars<'_> {
    fn report(&self, event: Event<'_>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.quiet {
            return;
        }
        match event {
            Event::Missing { name } => shown.say(&format!("Unable to find image '{name}' locally"), true),
            Event::Pulling { identifier, repository } => {
                shown.say(&format!("{identifier}: Pulling from {repository}"), false);
            }
            Event::Pulled { name, digest, is_new } => {
                shown.say(&format!("Digest: {digest}"), false);
                shown.say(
                    &match is_new {
                        true => format!("Status: Downloaded newer image for {name}"),
                        false => format!("Status: Image is up to date for {name}"),
                    },
                    false,
                );
            }
            Event::Distrusted { digest, hosts } => {
                let line = format!("WARNING: {hosts} sent wrong bytes for {digest}: another host is asked");
                shown.say(&line, true);
            }
            Event::Mounted { digest, from } => shown.mounted(digest, from),
            Event::Layer { digest, state } => shown.layer(digest, state),
        }
    }
}

impl Shown<'_> {
    fn say(&mut self, line: &str, talk: bool) {
        // Progress that cannot be written is no reason to stop the work.
        let _ = match &self.bars {
            Some(bars) => bars.println(line).map_err(|_| ()),
            None if self.to_stdout && !talk => {
                self.ui.line(line).and_then(|()| self.ui.flush()).map_err(|_| ())
            }
            None => self.ui.say(line).map_err(|_| ()),
        };
    }

    fn mounted(&mut self, digest: &str, from: &str) {
        let Some(layer) = self.layers.get(digest) else { return };
        let words = format!("Mounted from {from}");
        match &layer.bar {
            Some(bar) => {
                bar.set_style(style("{prefix}: {msg}"));
                bar.finish_with_message(words);
            }
            None => self.say(&format!("{}: {words}", short(digest)), false),
        }
    }

    fn layer(&mut self, digest: &str, state: LayerState) {
        let id = short(digest);
        let before = self.layers.get(digest).map(|layer| layer.state);
        // The configuration is fetched like a layer and shown by nobody.
        if before.is_none() && state != LayerState::Waiting {
            return;
        }
        if let Some(bars) = &self.bars {
            let bar = match self.layers.get(digest).and_then(|layer| layer.bar.clone()) {
                Some(bar) => bar,
                None => bars.add(ProgressBar::new(0).with_prefix(id)),
            };
            draw(&bar, before, state, self.way);
            self.layers.insert(digest.to_owned(), Layer { state, bar: Some(bar) });
            return;
        }
        self.layers.insert(digest.to_owned(), Layer { state, bar: None });
        let words = match self.way {
            Way::In => of_pull(before, state),
            Way::Out => of_push(before, state),
            Way::Anew => of_conversion(before, state),
        };
        if let Some(words) = words {
            self.say(&format!("{id}: {words}"), false);
        }
    }
}

/// docker's words for a layer that comes.
fn of_pull(before: Option<LayerState>, state: LayerState) -> Option<String> {
    Some(match (before, state) {
        (None, LayerState::Waiting) => "Pulling fs layer".into(),
        (Some(LayerState::Downloading { .. } | LayerState::Retrying(_)), LayerState::Verifying) => {
            "Download complete".into()
        }
        (_, LayerState::Retrying(wait)) => retrying(wait),
        (Some(before), LayerState::Done) if before != LayerState::Done => "Pull complete".into(),
        (Some(before), LayerState::Exists) if before != LayerState::Exists => "Already exists".into(),
        _ => return None,
    })
}

/// Ours for a layer that is made anew.
fn of_conversion(before: Option<LayerState>, state: LayerState) -> Option<String> {
    Some(match (before, state) {
        (None, LayerState::Waiting) => "Converting".into(),
        (_, LayerState::Done) => "Converted".into(),
        (_, LayerState::Exists) => "Left as it is".into(),
        _ => return None,
    })
}

/// docker's words for a layer that goes out, and ours for what comes after: it is unpacked over there.
fn of_push(before: Option<LayerState>, state: LayerState) -> Option<String> {
    Some(match (before, state) {
        (_, LayerState::Waiting) => "Preparing".into(),
        (_, LayerState::Retrying(wait)) => retrying(wait),
        (_, LayerState::Verifying) => "Pushed".into(),
        (Some(before), LayerState::Exists) if before != LayerState::Exists => "Layer already exists".into(),
        (_, LayerState::Done) => "Unpacked".into(),
        _ => return None,
    })
}

fn retrying(wait: Duration) -> String {
    format!("Retrying in {:.1} seconds", wait.as_secs_f64())
}

/// A layer's name in lists of progress.
fn short(digest: &str) -> String {
    digest.strip_prefix("sha256:").unwrap_or(digest).chars().take(12).collect()
}

fn draw(bar: &ProgressBar, before: Option<LayerState>, state: LayerState, way: Way) {
    let plain = |text: &'static str| {
        bar.set_style(style("{prefix}: {msg}"));
        bar.set_message(text);
    };
    match state {
        LayerState::Waiting => plain("Waiting"),
        LayerState::Downloading { done, total } => {
            if !matches!(before, Some(LayerState::Downloading { .. })) {
                bar.set_style(style(match way {
                    Way::In => "{prefix}: Downloading [{bar:30.=>}] {decimal_bytes}/{decimal_total_bytes}",
                    Way::Out => "{prefix}: Pushing [{bar:30.=>}] {decimal_bytes}/{decimal_total_bytes}",
                    Way::Anew => "{prefix}: Converting [{bar:30.=>}] {decimal_bytes}/{decimal_total_bytes}",
                }));
                bar.set_length(total);
            }
            bar.set_position(done);
        }
        LayerState::Retrying(_) => plain("Retrying"),
        LayerState::Verifying => plain(if way == Way::Out { "Pushed" } else { "Verifying Checksum" }),
        LayerState::Extracting => plain("Extracting"),
        LayerState::Done => {
            plain(match way {
                Way::In => "Pull complete",
                Way::Out => "Unpacked",
                Way::Anew => "Converted",
            });
            bar.finish();
        }
        LayerState::Exists => {
            plain(match way {
                Way::In => "Already exists",
                Way::Out => "Layer already exists",
                Way::Anew => "Left as it is",
            });
            bar.finish();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn off_a_terminal_each_step_is_a_line() {
        let (mut ui, captured) = Ui::captured();
        let bars = Bars::new(&mut ui, false);
        bars.report(Event::Missing { name: "a:latest" });
        bars.report(Event::Pulling { identifier: "latest", repository: "library/a" });
        let layer = "sha256:0123456789abcdef";
        bars.layer("sha256:config", LayerState::Verifying);
        for state in [
            LayerState::Waiting,
            LayerState::Downloading { done: 0, total: 9 },
            LayerState::Downloading { done: 9, total: 9 },
            LayerState::Verifying,
            LayerState::Extracting,
            LayerState::Done,
        ] {
            bars.layer(layer, state);
        }
        bars.report(Event::Pulled { name: "a:latest", digest: "sha256:1", is_new: true });
        bars.finish();
        assert_eq!(
            captured.err(),
            "Unable to find image 'a:latest' locally\nlatest: Pulling from library/a\n\
             0123456789ab: Pulling fs layer\n0123456789ab: Download complete\n0123456789ab: Pull complete\n\
             Digest: sha256:1\nStatus: Downloaded newer image for a:latest\n"
        );
        assert_eq!(captured.out(), "");
    }

    #[test]
    fn quiet_says_nothing() {
        let (mut ui, captured) = Ui::captured();
        Bars::to_stdout(&mut ui, true).report(Event::Missing { name: "a" });
        assert_eq!((captured.out(), captured.err()), (String::new(), String::new()));
    }
}
