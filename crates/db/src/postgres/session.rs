//! One connection, for one thread that waits.

use super::explain::{explain, unreachable};
use super::tls::{advice, connector};
use crate::error::{Error, ErrorKind};
use crate::query::Stop;
use crate::url::{Tls, Url};
use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{Client, Config, Connection, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Is a connection. It lives while somebody waits in [`Session::run`]: there is no thread behind it.
pub(super) struct Session {
    client: Client,
    runtime: Runtime,
    /// What moves the bytes; it ends with the reason why it can no more.
    mover: RefCell<Option<Mover>>,
    encryption: Option<MakeRustlsConnect>,
    stop: Stop,
}

type Mover = JoinHandle<Result<(), tokio_postgres::Error>>;

/// A server that has taken the connection has so long to let us in.
const WELCOME: Duration = Duration::from_secs(30);
/// So long the connection is listened to before it is used; what has come already is read in this time.
const EAR: Duration = Duration::from_millis(1);
/// So often somebody asks whether the caller still wants to wait.
const LOOK: Duration = Duration::from_millis(100);
/// So long a server has to take note of a cancellation or a farewell.
const FAREWELL: Duration = Duration::from_secs(1);

impl Session {
    /// Connects.
    pub(super) fn open(config: &Config, tls: &Tls, url: &Url, stop: Stop) -> Result<Self, Error> {
        let encryption = connector(tls)?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime =
            runtime.map_err(|error| Error::new(ErrorKind::Unreachable, format!("cannot make an epoll: {error}")))?;
        let connected = runtime.block_on(async { timeout(WELCOME, connect(config, encryption.as_ref())).await });
        let failed = |error: Error| error.during(format!("cannot connect to {url}"));
        let (client, mover) = match connected {
            Ok(connected) => connected.map_err(|error| {
                let told = unreachable(&error);
                failed(match advice(&error) {
                    Some(advice) => told.advised(advice),
                    None => told,
                })
            })?,
            Err(_) => return Err(failed(Error::new(ErrorKind::Unreachable, format!("no answer for {WELCOME:?}")))),
        };
        Ok(Self { client, runtime, mover: RefCell::new(Some(mover)), encryption, stop })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Waits for what the server is asked for, until it comes or the caller is stopped. How long a statement takes is the
    /// user's business; a server that is gone is noticed by keep-alive.
    pub(super) fn run<T>(&self, work: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, Error> {
        let done = self.runtime.block_on(async {
            let mut work = pin!(work);
            // A server that has ended the connection has said why: that is read before a write finds only that it has gone.
            tokio::time::sleep(EAR).await;
            loop {
                match timeout(LOOK, &mut work).await {
                    Ok(done) => return Some(done),
                    Err(_) if (self.stop)() => return None,
                    Err(_) => {}
                }
            }
        });
        match done {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) => Err(self.explain(&error)),
            None => {
                self.cancel();
                Err(Error::stopped())
            }
        }
    }

    /// An error that only says "closed" has its reason in the mover.
    fn explain(&self, error: &tokio_postgres::Error) -> Error {
        if error.as_db_error().is_none()
            && let Some(mover) = self.mover.borrow_mut().take()
            && let Ok(Ok(Err(reason))) = self.runtime.block_on(async { timeout(FAREWELL, mover).await })
        {
            let told = explain(&reason);
            return match reason.as_db_error() {
                Some(_) => told.during("the connection is lost"),
                None => told,
            };
        }
        explain(error)
    }

    /// Ends what the server does for us: else it would go on until it has rows to send.
    fn cancel(&self) {
        let token = self.client.cancel_token();
        // If it cannot be told, it will find out.
        let _ = self.runtime.block_on(async {
            timeout(FAREWELL, async {
                match &self.encryption {
                    Some(encryption) => token.cancel_query(encryption.clone()).await,
                    None => token.cancel_query(NoTls).await,
                }
            })
            .await
        });
    }
}

async fn connect(
    config: &Config,
    encryption: Option<&MakeRustlsConnect>,
) -> Result<(Client, Mover), tokio_postgres::Error> {
    match encryption {
        Some(encryption) => {
            let (client, connection) = config.connect(encryption.clone()).await?;
            Ok((client, moved(connection)))
        }
        None => {
            let (client, connection) = config.connect(NoTls).await?;
            Ok((client, moved(connection)))
        }
    }
}

fn moved<S, T>(connection: Connection<S, T>) -> Mover
where
    Connection<S, T>: Future<Output = Result<(), tokio_postgres::Error>> + Send + 'static,
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    tokio::spawn(connection)
}
