//! The CPython side: `peer.py` in a process of its own, which is asked to run something and says how long it took.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::Result;

const PEER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python/peer.py");

/// How long one answer may take; the peer is killed afterwards.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long it may take to leave when it was asked to.
const GRACE: Duration = Duration::from_secs(5);

/// What stands in the table when there is no `python3`.
pub(crate) const MISSING: &str = "no python3";

/// A running CPython with a pool of 2, which is made before the first answer.
#[derive(Debug)]
pub(crate) struct Python {
    child: Child,
    input: Option<ChildStdin>,
    answers: Receiver<String>,
    version: String,
}

#[derive(Deserialize)]
struct Hello {
    version: String,
}

impl Python {
    /// Starts the `python3` on the path; there may be none.
    pub(crate) fn start() -> Result<Option<Self>> {
        let mut command = Command::new("python3");
        command.arg("-B").arg(PEER).stdin(Stdio::piped()).stdout(Stdio::piped());
        // A group of its own: killing only the peer would leave its workers, which CPython's pool does not end then.
        let mut child = match command.process_group(0).spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("cannot start python3: {error}").into()),
        };
        let output = child.stdout.take().expect("the output was asked for");
        let (send, answers) = sync_channel(1);
        std::thread::spawn(move || {
            // It ends with the peer's output, or when nobody listens any more.
            BufReader::new(output).lines().map_while(std::result::Result::ok).try_for_each(|line| send.send(line))
        });
        let input = child.stdin.take();
        let mut python = Self { child, input, answers, version: String::new() };
        python.version = python.ask::<Hello>("hello", &json!({}))?.version;
        Ok(Some(python))
    }

    /// How it is called in the table.
    pub(crate) fn name(&self) -> String {
        format!("CPython {}", self.version)
    }

    /// Has the peer run a command and returns its answer.
    pub(crate) fn ask<A: DeserializeOwned>(&mut self, command: &str, arguments: &Value) -> Result<A> {
        let input = self.input.as_mut().expect("it is taken only at the end");
        writeln!(input, "{command} {arguments}")?;
        let answer = self.answers.recv_timeout(PATIENCE);
        let answer = answer.map_err(|error| format!("CPython did not answer to {command:?}: {error}"))?;
        Ok(serde_json::from_str(&answer)?)
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        drop(self.input.take());
        let end = Instant::now() + GRACE;
        // The standard library cannot wait for a child with a limit.
        while Instant::now() < end {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        // Not yet waited for, so the group is still the peer's. When there is no `kill`, the peer at least is ended.
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.child.id())]).status();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
