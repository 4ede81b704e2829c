//! What this process knows of its children: their list, and the guardians that start them.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use ganger_os::child::PidFd;
use ganger_os::ending::before_end;
use ganger_os::fd::Fd;
use ganger_os::per_process::PerProcess;
use ganger_os::socket::stream_pair;

use super::call::Call;
use super::child::{Answer, Child, ChildProcess};
use super::ending::see_to_children;
use super::post::{Post, Refusal};
use super::stdio::Stdio;
use crate::identity::identity;
use crate::pool::start_error;
use crate::start_method::chosen_start_method;
use crate::wire::attributes::Attributes;
use crate::wire::codec::encode;
use crate::wire::letter::{Letter, Reader};
use crate::wire::order::Order;
use crate::{Error, ErrorKind, StartMethod};

/// How long the socket of a new process may have no room for its order, which nobody else has written to.
const ROOM: Duration = Duration::from_secs(5);

static CONTEXT: PerProcess<Context> = PerProcess::new();

/// What this process, and not one that it was forked from, knows of its children.
pub(super) fn context() -> &'static Context {
    CONTEXT.get_or(Context::default)
}

#[derive(Debug, Default)]
pub(super) struct Context {
    /// One guardian for each start method with one for all processes.
    posts: Mutex<BTreeMap<&'static str, Arc<Post>>>,
    children: Mutex<BTreeMap<u32, Arc<Child>>>,
    next: AtomicU32,
}

/// What a process is to be.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    pub(super) path: &'a [u32],
    pub(super) daemon: bool,
    pub(super) method: StartMethod,
    pub(super) threads_allowed: bool,
    pub(super) streams: &'a [Stdio; 3],
    pub(super) attributes: &'a Attributes,
}

/// A process that waits for its order.
#[derive(Debug)]
struct Hired {
    post: Arc<Post>,
    pid: i32,
    pidfd: PidFd,
    link: Fd,
}

impl Context {
    /// Starts a process and has it make `call`.
    pub(super) fn start(&self, wanted: &Wanted<'_>, call: &Call) -> Result<ChildProcess, Error> {
        before_end(see_to_children);
        self.bury_dead();
        let cannot = |what: &str, error: io::Error| {
            let text = format!("cannot start process {}: cannot {what}: {error}", wanted.name);
            Error::new(ErrorKind::CannotStart, text).with_source(error)
        };
        let mut streams = Vec::new();
        for (number, stream) in wanted.streams.iter().enumerate() {
            streams.push(stream.open(number).map_err(|error| cannot("open its standard streams", error))?);
        }
        // For the child to watch: that is no other process, whatever becomes of the number.
        let own = PidFd::open(std::process::id().cast_signed());
        let own = own.map_err(|error| cannot("watch this process", error))?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let Hired { post, pid, pidfd, link } = self.hire(wanted, number)?;
        let order = order(wanted, call, &streams);
        let mut head = Vec::new();
        encode(&order, &mut head).expect("plain data can always be encoded");
        let beside: Vec<BorrowedFd<'_>> =
            [own.as_fd()].into_iter().chain(streams.iter().flatten().map(AsFd::as_fd)).collect();
        let Call { name: task, payload, descriptors, .. } = call;
        let letter = Letter { status: 0, head: &head, beside: &beside, payload, descriptors };
        match letter.send(&link, Some(ROOM)) {
            // It is dead already; how it died will be told.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(error) => {
                pidfd.kill();
                return Err(cannot("tell it what to do", error));
            }
            Ok(()) => {}
        }
        let child = Arc::new(Child {
            number,
            name: wanted.name.to_owned(),
            daemon: wanted.daemon,
            pid,
            creator: std::process::id(),
            task: task.clone(),
            link,
            pidfd,
            post,
            started: Instant::now(),
            answer: Mutex::new(Answer::Awaited(Reader::default())),
            end: OnceLock::new(),
        });
        self.children.lock().unwrap_or_else(PoisonError::into_inner).insert(number, child.clone());
        tracing::debug!(name = wanted.name, pid, method = %wanted.method, "process started");
        Ok(ChildProcess(child))
    }

    /// Has a process started that waits for its order.
    fn hire(&self, wanted: &Wanted<'_>, number: u32) -> Result<Hired, Error> {
        let mut retried = false;
        loop {
            let post = self.post(wanted)?;
            let refused = |text: &dyn std::fmt::Display| {
                Error::new(ErrorKind::CannotStart, format!("cannot start process {}: {text}", wanted.name))
            };
            let (ours, theirs) = stream_pair().map_err(|error| refused(&error).with_source(error))?;
            match post.start(number, theirs) {
                Ok((pid, pidfd)) => return Ok(Hired { post, pid, pidfd, link: ours }),
                // It died just now. Nothing has run: what it may have started has no order.
                Err(Refusal::Gone) if !retried => retried = true,
                Err(Refusal::Gone) => return Err(refused(&"its guardian process died, twice")),
                Err(Refusal::Guardian(error)) => return Err(start_error(error)),
                Err(Refusal::Process(error)) => return Err(refused(&error).with_source(error)),
            }
        }
    }

    /// The guardian that starts it: under `fork` one of its own, as that is what has the caller's data.
    fn post(&self, wanted: &Wanted<'_>) -> Result<Arc<Post>, Error> {
        if wanted.method == StartMethod::Fork {
            return Post::open(wanted.method, wanted.threads_allowed).map(Arc::new).map_err(start_error);
        }
        let mut posts = self.posts.lock().unwrap_or_else(PoisonError::into_inner);
        let name = wanted.method.as_str();
        if let Some(post) = posts.get(name).filter(|post| post.serves()) {
            return Ok(post.clone());
        }
        let post = Arc::new(Post::open(wanted.method, false).map_err(start_error)?);
        posts.insert(name, post.clone());
        Ok(post)
    }

    /// Those that were started here and of which it is not known that they are dead.
    pub(super) fn children(&self) -> Vec<Arc<Child>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Takes note of deaths that nobody has asked about, so that what the dead leave here is given back.
    fn bury_dead(&self) -> Vec<Arc<Child>> {
        self.children().into_iter().filter(|child| !child.has_ended()).collect()
    }

    pub(super) fn forget(&self, number: u32) {
        self.children.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
    }
}

fn order(wanted: &Wanted<'_>, call: &Call, streams: &[Option<OwnedFd>]) -> Order {
    let comes = |number: usize| streams.get(number).is_some_and(Option::is_some);
    Order {
        entry: call.entry,
        bound: call.bound as u64,
        bound_descriptors: call.bound_descriptors as u32,
        name: wanted.name.to_owned(),
        path: wanted.path.to_vec(),
        daemon: wanted.daemon,
        parent: (std::process::id().cast_signed(), identity().name.clone()),
        method: chosen_start_method().map(|method| method.as_str().to_owned()),
        streams: [comes(0), comes(1), comes(2)],
        attributes: wanted.attributes.clone(),
    }
}

/// The processes that this one has started and that are alive, those whose [`Process`](crate::Process) was dropped included. Python's
/// `active_children`.
///
/// ```
/// use ganger::Process;
/// let mut process = Process::new(|| std::thread::sleep(std::time::Duration::from_secs(60)), ());
/// process.start()?;
/// let children = ganger::active_children();
/// assert_eq!((children.len(), children[0].name()), (1, process.name()));
/// children[0].kill()?;
/// children[0].join()?;
/// assert!(ganger::active_children().is_empty());
/// # Ok::<(), ganger::Error>(())
/// ```
#[must_use]
pub fn active_children() -> Vec<ChildProcess> {
    context().bury_dead().into_iter().map(ChildProcess).collect()
}

/// Has the guardians leave that serve no process any more; the next start starts another. For tests that look for what is
/// left behind.
#[doc(hidden)]
pub fn dismiss_guardians() {
    let context = context();
    if context.bury_dead().is_empty() {
        let posts = std::mem::take(&mut *context.posts.lock().unwrap_or_else(PoisonError::into_inner));
        posts.values().for_each(|post| post.dismiss());
    }
}
