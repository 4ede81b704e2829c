//! Where captured output goes: to the user's function, or to the program's own streams, on the callbacks' thread.

use std::fmt;
use std::io::Write;
use std::sync::Arc;

use super::callbacks::{CallbackThread, PanicNote};
use super::start::Stdout;
use crate::output::TaskOutput;

/// What is called with each task's output.
pub(crate) type OnOutput = Arc<dyn Fn(&TaskOutput) + Send + Sync>;

/// How output is captured.
#[derive(Clone, Default)]
pub(crate) struct Capture {
    /// How many bytes of each stream of a task are kept.
    pub(crate) cap: Option<usize>,
    pub(crate) on_output: Option<OnOutput>,
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cap, on_output } = self;
        f.debug_struct("Capture").field("cap", cap).field("on_output", &on_output.is_some()).finish()
    }
}

/// The way of captured output out of the supervisor.
pub(crate) struct Outlet {
    pub(crate) cap: usize,
    to: OnOutput,
    thread: Arc<CallbackThread>,
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlet").field("cap", &self.cap).finish_non_exhaustive()
    }
}

impl Outlet {
    /// An outlet, if output is captured at all.
    pub(crate) fn new(capture: Capture, stdout: Stdout, thread: &Arc<CallbackThread>) -> Option<Self> {
        let to = capture.on_output.unwrap_or_else(|| Arc::new(move |output: &TaskOutput| pass_on(output, stdout)));
        Some(Self { cap: capture.cap?, to, thread: thread.clone() })
    }

    /// Has the output handed over, after what was handed over before.
    pub(crate) fn put(&self, output: TaskOutput) {
        let to = self.to.clone();
        self.thread.push(move || to(&output), PanicNote::default());
    }
}

/// Writes each stream in one piece, so that nothing of another task comes between.
fn pass_on(output: &TaskOutput, stdout: Stdout) {
    let to_stdout: &mut dyn Write = match stdout {
        Stdout::Inherit => &mut std::io::stdout().lock(),
        Stdout::ToStderr => &mut std::io::stderr().lock(),
    };
    write(to_stdout, &output.stdout().to_bytes());
    write(&mut std::io::stderr().lock(), &output.stderr().to_bytes());
}

fn write(to: &mut dyn Write, bytes: &[u8]) {
    if !bytes.is_empty() {
        // Whoever closed the stream does not want to know.
        let _ = to.write_all(bytes).and_then(|()| to.flush());
    }
}
