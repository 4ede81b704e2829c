//! Writes to standard error without tearing the progress bar, and without a panic when it is closed.

use indicatif::ProgressBar;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Writes one line.
pub(crate) fn say(line: &str) {
    say_bytes(format!("{line}\n").as_bytes());
}

/// Writes one line of foreign text, such as a task's message: control characters are escaped, so it stays one line and
/// cannot drive the terminal.
pub(crate) fn say_escaped(line: &str) {
    say(&one_line(line));
}

/// Shows a bar from now on, or none.
pub(crate) fn show(bar: Option<ProgressBar>) {
    *current() = bar;
}

/// Writes bytes that end in a line feed; the bar steps aside.
fn say_bytes(bytes: &[u8]) {
    let write = || {
        // Who cannot read our messages cannot read that either; the exit code still tells.
        let _ = io::stderr().write_all(bytes);
    };
    match current().as_ref() {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

fn current() -> MutexGuard<'static, Option<ProgressBar>> {
    BAR.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Escapes control characters.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.trim_end().chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

/// Lets a logger write through this module. One call is one event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        say_bytes(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_stays_one_harmless_line() {
        for (text, expected) in [
            ("plain ä", "plain ä"),
            ("a\nb\n", "a\\nb"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("tab\there", "tab\\there"),
        ] {
            assert_eq!(one_line(text), expected);
        }
    }
}
