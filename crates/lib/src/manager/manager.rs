//! The server process and who owns it.

use std::net::TcpListener;
use std::ops::Deref;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use ganger_os::fd::Fd;
use ganger_os::socket::packet_pair;
use serde::{Deserialize, Serialize};

use super::address::Address;
use super::client::{Key, Route};
use super::objects::{Client, fresh_number};
use super::server::{Gate, Setup, Socket, serve};
use crate::error::{Error, ErrorKind};
use crate::process::Process;
use crate::wire::descriptor::Descriptor;
use crate::wire::frame::MOST_BYTES;
use crate::worker::panics::install_server_hook;
use crate::{StartMethod, start_method};

/// The largest message, unless the builder says otherwise.
const MESSAGE_LIMIT: usize = 64 << 20;

/// Below this not even errors would fit.
const LEAST_LIMIT: usize = 4096;

/// A server process whose objects many processes share. Python's `multiprocessing.Manager`.
///
/// It makes objects by the methods of [`Client`](super::Client), to which it dereferences. Their proxies are small, and arguments
/// and results like others: of tasks, of processes, and as values in the manager's own objects. Every method of a proxy is one
/// round trip and one atomic operation.
///
/// The process ends when this is dropped, and when its owner dies, however that happens; proxies give errors of the kind
/// [`Disconnected`](crate::ErrorKind::Disconnected) then. Objects live as long as the manager, or until somebody discards
/// them: unlike Python, nobody counts proxies. What a client that dies had locked is released. The server has one thread:
/// a function that runs in it ([`update`](super::Dict::update), [`call`](super::Managed::call)) keeps all others
/// waiting, and one that never returns keeps them waiting until the manager is dropped.
///
/// Nobody can connect to it but those who got a proxy from its owner; [`listen`](ManagerBuilder::listen) lets others in who
/// have a key.
///
/// ```
/// use ganger::{Manager, Pool};
/// use ganger::manager::Dict;
///
/// fn total(totals: Dict<String, i64>, (name, numbers): (String, Vec<i64>)) -> Result<(), ganger::Error> {
///     totals.add(&name, numbers.iter().sum()).map(drop)
/// }
/// let manager = Manager::new()?;
/// let totals: Dict<String, i64> = manager.dict()?;
/// let lists = [("a".to_owned(), vec![1, 2]), ("b".to_owned(), vec![3]), ("a".to_owned(), vec![4])];
/// let _: Vec<()> = Pool::new(2)?.map(ganger::partial(total, (totals.clone(),)), lists)?;
/// assert_eq!((totals.get("a")?, totals.get("b")?), (Some(7), Some(3)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Manager {
    client: Client,
    process: Process<()>,
    address: Option<Address>,
    // Dropped after the process that listens there.
    _path: Option<OwnPath>,
}

/// The settings of a [`Manager`]; [`Manager::builder`] makes one.
///
/// ```
/// use ganger::{Manager, StartMethod};
/// let manager = Manager::builder().start_method(StartMethod::Spawn).message_limit(1 << 20).start()?;
/// let texts = manager.list::<String>()?;
/// let error = texts.push(&"x".repeat(2 << 20)).expect_err("too large");
/// assert_eq!(error.kind(), ganger::ErrorKind::TooLarge);
/// # Ok::<(), ganger::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until `start` is called"]
pub struct ManagerBuilder {
    method: StartMethod,
    limit: usize,
    address: Option<Address>,
    key: Option<Key>,
}

impl Manager {
    /// Starts a manager.
    ///
    /// # Errors
    /// See [`ManagerBuilder::start`].
    pub fn new() -> Result<Self, Error> {
        Self::builder().start()
    }

    /// A manager with settings of its own.
    pub fn builder() -> ManagerBuilder {
        ManagerBuilder { method: start_method(), limit: MESSAGE_LIMIT, address: None, key: None }
    }

    /// Finds the manager that [listens](ManagerBuilder::listen) at `address`, in another program; both sides must have the
    /// same key, and prove it without telling it.
    ///
    /// Functions run there only for clients that are the same executable: others use the operations that need none.
    ///
    /// # Errors
    /// [`Authentication`](crate::ErrorKind::Authentication) when the keys differ, or what listens there is no manager;
    /// [`Disconnected`](crate::ErrorKind::Disconnected) when nothing does, or it does not answer within 10 seconds.
    pub fn connect(address: impl Into<Address>, key: impl AsRef<[u8]>) -> Result<Client, Error> {
        Client::connect(address.into(), key.as_ref())
    }

    /// What makes objects in this manager from anywhere: a copy is an argument like any other.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Where it listens, with the port that was free, if it does.
    #[must_use]
    pub fn address(&self) -> Option<&Address> {
        self.address.as_ref()
    }

    /// The id of its process.
    ///
    /// # Panics
    /// Never: a manager has a process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid().expect("a manager's process was started")
    }

    /// Whether its process runs.
    ///
    /// # Errors
    /// [`ForeignProcess`](crate::ErrorKind::ForeignProcess) in a forked copy of the owner.
    pub fn is_alive(&self) -> Result<bool, Error> {
        self.process.is_alive()
    }

    /// Ends it, as dropping it does. Its objects are gone, and what they would do when they are dropped is not done.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Drop for Manager {
    /// Ends the process, within two seconds at most: see [`ProcessBuilder::daemon`](crate::ProcessBuilder::daemon).
    fn drop(&mut self) {
        // The process is ended by its own handle. Other threads notice when they use a proxy again, or another manager's.
        self.client.hang_up();
    }
}

impl Deref for Manager {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl ManagerBuilder {
    /// Where its process comes from; without it, what [`start_method`](crate::start_method()) says.
    pub fn start_method(mut self, method: StartMethod) -> Self {
        self.method = method;
        self
    }

    /// The largest request and the largest reply, in bytes; 64 MiB without it. What is larger is an error of the kind
    /// [`TooLarge`](crate::ErrorKind::TooLarge).
    pub fn message_limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Also lets in other programs, which connect to `address` and have the [key](Self::authkey).
    ///
    /// What goes over the connection is not encrypted: use it on one machine, or in a network whose members may read it.
    ///
    /// ```
    /// use std::net::SocketAddr;
    /// use ganger::Manager;
    /// let any: SocketAddr = "127.0.0.1:0".parse()?;
    /// let manager = Manager::builder().listen(any).authkey("a secret").start()?;
    /// manager.named("jobs").queue::<String>(100)?.put(&"a job".to_owned())?;
    /// // In another program:
    /// let address = manager.address().expect("it listens").clone();
    /// let client = Manager::connect(address, "a secret")?;
    /// assert_eq!(client.named("jobs").queue::<String>(100)?.get()?, "a job");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn listen(mut self, address: impl Into<Address>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// What those must have who connect to the address. It is as good as it is hard to guess.
    pub fn authkey(mut self, key: impl AsRef<[u8]>) -> Self {
        self.key = Some(Key(key.as_ref().to_vec()));
        self
    }

    /// Starts the manager.
    ///
    /// # Errors
    /// [`InvalidSetting`](crate::ErrorKind::InvalidSetting) for a limit out of range, an address without a key or the other way
    /// round, and an empty key; [`System`](crate::ErrorKind::System) when the address cannot be listened at; and those of
    /// [`Process::start`](crate::Process::start).
    pub fn start(self) -> Result<Manager, Error> {
        let Self { method, limit, address, key } = self;
        if !(LEAST_LIMIT..=MOST_BYTES).contains(&limit) {
            let text = format!("a message limit of {limit} bytes: it is from {LEAST_LIMIT} to {MOST_BYTES}");
            return Err(Error::new(ErrorKind::InvalidSetting, text));
        }
        let bound = match (address, key) {
            (None, None) => None,
            (Some(address), Some(key)) if !key.0.is_empty() => Some((Bound::new(address)?, key)),
            (Some(_), Some(_)) => {
                return Err(Error::new(
                    ErrorKind::InvalidSetting,
                    "an empty key, which everybody has: use random bytes",
                ));
            }
            (Some(address), None) => {
                let text = format!("a manager that listens at {address} needs a key: give it one with `authkey`");
                return Err(Error::new(ErrorKind::InvalidSetting, text));
            }
            (None, Some(_)) => {
                let text = "a key for a manager that listens nowhere: give it an address with `listen`";
                return Err(Error::new(ErrorKind::InvalidSetting, text));
            }
        };
        let (gate, address, path) = match bound {
            Some((Bound { socket, address, path }, key)) => (Some((socket, key)), Some(address), path),
            None => (None, None, None),
        };
        let (door, theirs) = door()?;
        let order = Order { door: theirs, gate, limit };
        let mut process = Process::builder().name("manager").start_method(method).daemon(true).build(host, (order,));
        process.start()?;
        let client = Client::new(Route::door(fresh_number()?, door));
        client.reach()?;
        Ok(Manager { client, process, address, _path: path })
    }
}

/// A socket pair whose one end is the server's.
fn door() -> Result<(Descriptor, Descriptor), Error> {
    let pair = packet_pair().and_then(|(ours, theirs)| Ok((copy(&ours)?, copy(&theirs)?)));
    pair.map_err(|error| Error::new(ErrorKind::System, "no door to a manager can be made").with_source(error))
}

fn copy(fd: impl AsFd) -> std::io::Result<Descriptor> {
    fd.as_fd().try_clone_to_owned().map(Descriptor::from)
}

/// What the server's process is told.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    door: Descriptor,
    gate: Option<(Listening, Key)>,
    limit: usize,
}

/// A socket that listens.
#[derive(Debug, Serialize, Deserialize)]
enum Listening {
    Unix(Descriptor),
    Tcp(Descriptor),
}

/// What the server's process does.
fn host(order: Order) -> Result<(), String> {
    let open = || -> std::io::Result<Setup> {
        let own = |descriptor: Descriptor| descriptor.as_fd().try_clone_to_owned();
        let gate = match order.gate {
            None => None,
            Some((listening, key)) => {
                let socket = match listening {
                    Listening::Unix(descriptor) => Socket::Unix(UnixListener::from(own(descriptor)?)),
                    Listening::Tcp(descriptor) => Socket::Tcp(TcpListener::from(own(descriptor)?)),
                };
                Some(Gate { socket, key })
            }
        };
        Ok(Setup { door: Fd::from(own(order.door)?), gate, limit: order.limit })
    };
    install_server_hook();
    open().and_then(serve).map_err(|error| error.to_string())
}

/// A socket that listens already, so that the owner learns at once when it cannot.
struct Bound {
    socket: Listening,
    address: Address,
    path: Option<OwnPath>,
}

impl Bound {
    fn new(address: Address) -> Result<Self, Error> {
        let bound = match &address {
            Address::Unix(path) => UnixListener::bind(path).and_then(|listener| {
                let path = OwnPath { path: path.clone(), owner: std::process::id() };
                listener.set_nonblocking(true)?;
                let socket = Listening::Unix(OwnedFd::from(listener).into());
                Ok(Self { socket, address: address.clone(), path: Some(path) })
            }),
            Address::Tcp(wanted) => TcpListener::bind(wanted).and_then(|listener| {
                listener.set_nonblocking(true)?;
                let address = Address::Tcp(listener.local_addr()?);
                Ok(Self { socket: Listening::Tcp(OwnedFd::from(listener).into()), address, path: None })
            }),
        };
        bound.map_err(|error| {
            let text = format!("a manager cannot listen at {address}: {error}");
            Error::new(ErrorKind::System, text).with_source(error)
        })
    }
}

/// The path of a socket, which is gone with its owner.
#[derive(Debug)]
struct OwnPath {
    path: PathBuf,
    owner: u32,
}

impl Drop for OwnPath {
    fn drop(&mut self) {
        // Not in a forked copy of the owner. When it is gone already there is nothing to do.
        if self.owner == std::process::id() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
