//! The CPython side: a script in a process of its own, which is asked to run something and says how long it took.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::Result;
use crate::contest::{Contestant, Turn};

/// Where the scripts are.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python");
/// The script of those rows that have none of their own.
const PEER: &str = "peer.py";

/// How long one answer may take; the peer is killed afterwards.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long it may take to leave when it was asked to.
const GRACE: Duration = Duration::from_secs(5);

/// What stands in the table when there is no `python3`.
pub(crate) const MISSING: &str = "no python3";

/// A running CPython. Pools of its own are made before the first answer.
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
    /// Starts the `python3` on the path with the script that has a pool of 2; there may be none.
    pub(crate) fn start() -> Result<Option<Self>> {
        Self::start_script(PEER)
    }

    fn start_script(script: &str) -> Result<Option<Self>> {
        let mut command = Command::new("python3");
        command.arg("-B").arg(format!("{SCRIPTS}/{script}")).stdin(Stdio::piped()).stdout(Stdio::piped());
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

/// CPython as one or more contestants, each of which may ask it; or the lack of it.
pub(crate) struct Peer {
    name: String,
    python: Option<RefCell<Python>>,
}

impl Peer {
    /// Starts `python3` with this script; there may be none.
    pub(crate) fn start(script: &str) -> Result<Self> {
        let python = Python::start_script(script)?;
        let name = python.as_ref().map_or_else(|| MISSING.to_owned(), Python::name);
        Ok(Self { name, python: python.map(RefCell::new) })
    }

    /// Has it prepare something; nothing happens where there is no Python.
    pub(crate) fn prepare(&self, command: &str, arguments: &Value) -> Result<()> {
        match &self.python {
            Some(python) => python.borrow_mut().ask::<Value>(command, arguments).map(drop),
            None => Ok(()),
        }
    }

    /// Has it run `command` once.
    pub(crate) fn turn<A: DeserializeOwned>(&self, command: &str, arguments: &Value) -> Result<Turn<A>> {
        match &self.python {
            Some(python) => python.borrow_mut().ask(command, arguments),
            None => Ok(Turn::Skipped { skip: MISSING.to_owned() }),
        }
    }

    /// One that runs `command` with these arguments whenever it is its turn.
    pub(crate) fn contestant<'a, A: DeserializeOwned>(
        &'a self,
        command: &'a str,
        arguments: Value,
    ) -> Contestant<'a, A> {
        Contestant::new(format!("{}: {command}", self.name), move || self.turn(command, &arguments))
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
