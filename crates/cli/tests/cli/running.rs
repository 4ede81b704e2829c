//! A command that runs: it is fed, watched and waited for, never without a limit.

use crate::processes::wait_until;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Is a command that runs. Dropped, it is killed.
pub(crate) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    out: Arc<Stream>,
    err: Arc<Stream>,
    feeder: Option<JoinHandle<()>>,
}

/// Is what a finished command left behind.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    /// What killed it, if something has.
    pub(crate) signal: Option<Signal>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Is what has come through a pipe so far.
#[derive(Default)]
struct Stream(Mutex<State>);

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    lines: usize,
    ended: bool,
}

impl Running {
    /// Starts a command whose streams are pipes.
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary was built");
        let out = Stream::read(child.stdout.take().expect("it was asked for"));
        let err = Stream::read(child.stderr.take().expect("it was asked for"));
        let stdin = child.stdin.take();
        Self { child, stdin, out, err, feeder: None }
    }

    /// Writes to its standard input and leaves it open.
    pub(crate) fn write(&mut self, input: &str) {
        self.stdin.as_mut().expect("it is open").write_all(input.as_bytes()).expect("the command reads");
    }

    /// Closes its standard input.
    pub(crate) fn close(&mut self) {
        self.stdin = None;
    }

    /// Writes all of its standard input, on a thread, and closes it.
    pub(crate) fn feed(&mut self, input: Vec<u8>) {
        let mut stdin = self.stdin.take().expect("it is open");
        // A command that fails early does not read its input.
        self.feeder = Some(thread::spawn(move || drop(stdin.write_all(&input))));
    }

    /// Waits for so many complete lines on its standard output.
    #[track_caller]
    pub(crate) fn wait_for_lines(&self, count: usize, limit: Duration) {
        wait_until(limit, || match self.out.lines() {
            lines if lines >= count => Ok(()),
            lines => Err(format!("{lines} of {count} lines have come; messages: {}", self.err.text())),
        });
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    pub(crate) fn err(&self) -> String {
        self.err.text()
    }

    /// Waits until it is no longer the program that prepares for it.
    pub(crate) fn wait_for_exec(&self, before: &str) {
        wait_until(Duration::from_secs(20), || {
            let name = fs::read_to_string(format!("/proc/{}/comm", self.child.id())).expect("it is not waited for yet");
            if name.trim() == before { Err(name) } else { Ok(()) }
        });
    }

    /// Returns the most memory it has had in use, in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it is not waited for yet");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it lives");
        line.trim().trim_end_matches(" kB").parse().expect("Linux writes a number")
    }

    /// Waits until its messages hold this text.
    #[track_caller]
    pub(crate) fn wait_for_message(&self, text: &str, limit: Duration) {
        wait_until(limit, || {
            let err = self.err.text();
            if err.contains(text) { Ok(()) } else { Err(format!("{text:?} is missing in {err:?}")) }
        });
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("it is not waited for yet");
    }

    /// Waits for its end, and for that of its streams: whoever holds them open has been left behind.
    #[track_caller]
    pub(crate) fn finish(mut self, limit: Duration) -> Finished {
        let status = self.wait(limit);
        let [out, err] = [&self.out, &self.err].map(|stream| {
            wait_until(limit, || if stream.ended() { Ok(()) } else { Err("somebody holds the stream open".into()) });
            stream.text()
        });
        if let Some(feeder) = self.feeder.take() {
            feeder.join().expect("writing does not panic");
        }
        Finished { code: status.code(), signal: signal_of(status), out, err }
    }

    #[track_caller]
    fn wait(&mut self, limit: Duration) -> ExitStatus {
        wait_until(limit, || match self.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            _ => Err(format!("it still runs; messages: {}", self.err.text())),
        })
    }
}

/// Returns the signal that has ended a process.
pub(crate) fn signal_of(status: ExitStatus) -> Option<Signal> {
    status.signal().map(|number| Signal::try_from(number).expect("it has a name"))
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when it has been waited for, which is well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Finished {
    /// Checks code and standard output, and that standard error holds these texts.
    #[track_caller]
    pub(crate) fn gives(&self, code: i32, out: &str, err: &[&str]) {
        assert_eq!((self.code, self.out.as_str()), (Some(code), out), "{}", self.err);
        for text in err {
            assert!(self.err.contains(text), "{text:?} is missing in {:?}", self.err);
        }
        assert!(!self.err.contains("RUST_BACKTRACE") && !self.err.contains("stack backtrace"), "{}", self.err);
    }

    /// Checks code and standard output against those of another run; of a long output it shows where it differs.
    #[track_caller]
    pub(crate) fn equals(&self, other: &Self, what: &str) {
        assert_eq!(self.code, other.code, "{what}: {}", self.err);
        if self.out != other.out {
            let lines = self.out.lines().zip(other.out.lines());
            let first = lines.enumerate().find(|(_, (ours, theirs))| ours != theirs);
            panic!("{what}: the output differs, first in (line, (this, that)) {first:?}; messages: {}", self.err);
        }
    }
}

impl Stream {
    fn read(mut pipe: impl Read + Send + 'static) -> Arc<Self> {
        let stream = Arc::new(Self::default());
        let theirs = stream.clone();
        thread::spawn(move || {
            let mut block = vec![0; 1 << 16];
            while let Ok(read @ 1..) = pipe.read(&mut block) {
                let read = &block[..read];
                let mut state = theirs.state();
                state.bytes.extend_from_slice(read);
                state.lines += read.iter().filter(|byte| **byte == b'\n').count();
            }
            theirs.state().ended = true;
        });
        stream
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no holder panics")
    }

    fn lines(&self) -> usize {
        self.state().lines
    }

    fn ended(&self) -> bool {
        self.state().ended
    }

    fn text(&self) -> String {
        String::from_utf8(self.state().bytes.clone()).expect("both streams are UTF-8")
    }
}
