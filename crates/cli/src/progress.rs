//! Shows how far a run is.

use crate::config::ProgressChoice;
use crate::say;
use ganger::{Trouble, TroubleKind};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Bars are drawn at most so often.
const BAR_INTERVAL: Duration = Duration::from_millis(50);
/// Plain lines are written at most so often.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Counts records and bytes, and shows them.
#[derive(Debug)]
pub(crate) struct Progress {
    display: Display,
    total: Option<u64>,
    bytes: u64,
    ok: u64,
    failed: u64,
    shown: Instant,
    /// The first worker that gets nowhere, in words.
    trouble: Option<String>,
    /// The troubles that lines were written about, while they last.
    told: Vec<(u32, TroubleKind)>,
}

#[derive(Debug)]
enum Display {
    Bar(ProgressBar),
    Plain,
    Nothing,
}

impl Progress {
    /// Starts to show progress; `total` is the size of all inputs in bytes. A bar needs the terminal `alone`: results that
    /// scroll by would tear it, and show progress themselves.
    pub(crate) fn start(choice: ProgressChoice, total: Option<u64>, alone: bool) -> Self {
        let display = match choice {
            ProgressChoice::None => Display::Nothing,
            ProgressChoice::Plain => Display::Plain,
            ProgressChoice::Bar | ProgressChoice::Auto if alone && can_animate() => Display::Bar(start_bar(total)),
            ProgressChoice::Bar => Display::Plain,
            ProgressChoice::Auto => Display::Nothing,
        };
        Self { display, total, bytes: 0, ok: 0, failed: 0, shown: Instant::now(), trouble: None, told: Vec::new() }
    }

    /// Counts one record.
    pub(crate) fn step(&mut self, bytes: u64, failed: bool) {
        self.bytes += bytes;
        self.failed += u64::from(failed);
        self.ok += u64::from(!failed);
        let interval = match &self.display {
            Display::Bar(_) => BAR_INTERVAL,
            Display::Plain => LINE_INTERVAL,
            Display::Nothing => return,
        };
        if self.shown.elapsed() >= interval {
            self.show();
        }
    }

    /// Shows the first of the workers that get nowhere; where there is no bar to show it, writes a line about each once.
    pub(crate) fn troubled(&mut self, troubles: &[Trouble]) {
        if let Display::Bar(_) = self.display {
            let trouble = troubles.first().map(Trouble::to_string);
            if trouble != self.trouble {
                self.trouble = trouble;
                self.show();
            }
            return;
        }
        let name = |trouble: &Trouble| (trouble.pid(), trouble.what());
        for trouble in troubles.iter().filter(|trouble| !self.told.contains(&name(trouble))) {
            say::say(&format!("warning: {trouble}"));
        }
        self.told = troubles.iter().map(name).collect();
    }

    /// Shows the last state and takes the bar away.
    pub(crate) fn finish(&mut self) {
        self.show();
        if let Display::Bar(bar) = &self.display {
            bar.finish_and_clear();
            say::show(None);
        }
    }

    fn show(&mut self) {
        self.shown = Instant::now();
        match &self.display {
            Display::Bar(bar) => {
                bar.set_position(self.bytes);
                let trouble = self.trouble.as_ref().map_or(String::new(), |trouble| format!(", {trouble}"));
                bar.set_message(self.counts() + &trouble);
            }
            Display::Plain => say::say(&self.line()),
            Display::Nothing => {}
        }
    }

    fn counts(&self) -> String {
        format!("{} ok, {} failed", self.ok, self.failed)
    }

    fn line(&self) -> String {
        match self.total {
            Some(total) if total > 0 => {
                format!("progress: {}, {:.0} % read", self.counts(), self.bytes as f64 * 100.0 / total as f64)
            }
            Some(_) | None => format!("progress: {}", self.counts()),
        }
    }
}

/// A terminal that cannot move its cursor says so.
fn can_animate() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Makes a bar when the total is known, else a spinner. It has no colour, so `NO_COLOR` has nothing to switch off.
fn start_bar(total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "{bar:30} {percent:>3} %  {msg}  {elapsed}, {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner} {msg}  {elapsed}"),
    };
    let style = ProgressStyle::with_template(template).expect("the template is a constant and was tried");
    bar.set_style(style.progress_chars("=> "));
    bar.enable_steady_tick(Duration::from_millis(200));
    say::show(Some(bar.clone()));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_line_tells_counts_and_share() {
        let mut progress = Progress::start(ProgressChoice::Plain, Some(200), true);
        progress.step(50, false);
        progress.step(50, true);
        assert_eq!(progress.line(), "progress: 1 ok, 1 failed, 50 % read");
        progress.total = None;
        assert_eq!(progress.line(), "progress: 1 ok, 1 failed");
    }

    #[test]
    fn both_templates_are_valid() {
        for total in [Some(1), None] {
            start_bar(total).finish_and_clear();
            say::show(None);
        }
    }
}
