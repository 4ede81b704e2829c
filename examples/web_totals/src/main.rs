//! A small web application over the rows of a database whose work is done by a gang of worker processes: requests are
//! answered while long tasks run, and a task that crashes costs its own request and nothing else.
//!
//! `cargo run --release -p web_totals`, then open <http://127.0.0.1:8080>. README.md says what to try and what to copy.

mod options;
mod refusal;
mod sales;
mod web;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use ganger::Pool;
use options::Options;
use tokio::net::TcpListener;
use tokio::select;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

/// So long the requests may take to be answered that are given up at the end of the grace time.
const LAST_WORDS: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("web_totals: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The order is what matters here: the pool comes before everything that other processes must not have.
fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    // 1. The database, whose connection is closed again: none may be open in two processes.
    let count = sales::prepare(&options.database, options.rows)
        .map_err(|error| format!("cannot use the database {}: {error}", options.database.display()))?;
    // 2. The workers, each with a connection of its own. Under `fork` they are copies of this process, so it has no other thread
    //    yet (which is why this is no `#[tokio::main]`), and no socket that they would keep open.
    let pool = build_pool(options)?;
    eprintln!("web_totals: {count} sales in {}, {} workers", options.database.display(), pool.size());
    // 3. The server. Its one thread only passes questions and answers on: the work is done in the workers.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(&pool, options))?;
    // 4. The end, in reverse. Requests that are still there go with the runtime, and their tasks with them.
    drop(runtime);
    pool.close();
    pool.join()?;
    Ok(())
}

fn build_pool(options: &Options) -> Result<Pool, ganger::Error> {
    let mut builder = Pool::builder().name("web_totals").try_initializer(sales::open, (options.database.clone(),));
    if let Some(workers) = options.workers {
        builder = builder.workers(workers);
    }
    if let Some(method) = options.start_method {
        builder = builder.start_method(method);
    }
    builder.build()
}

/// Answers requests until a signal comes, and then what is under way.
async fn serve(pool: &Pool, options: &Options) -> Result<(), Box<dyn Error>> {
    // Until here a signal has ended the program, and the guardian its workers.
    let mut signals = Signals::new()?;
    let listener = TcpListener::bind(&options.address)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", options.address))?;
    println!("listening on http://{}", listener.local_addr()?);

    let routes = web::routes(pool, options.in_flight, options.deadline)?;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, routes).with_graceful_shutdown(async { drop(stopped.await) });
    let mut server = tokio::spawn(server.into_future());

    signals.next().await;
    eprintln!("web_totals: stopping, within {:?}; another signal ends it at once", options.grace);
    // From now on nobody can connect.
    drop(stop);
    select! {
        _ = &mut server => return Ok(()),
        () = sleep(options.grace) => {}
        () = signals.next() => {}
    }
    // Every task that has not ended is cancelled now, and whoever waits for it is told so.
    pool.terminate();
    // What cannot be told within that time (the client reads nothing) is dropped.
    let _ = timeout(LAST_WORDS, server).await;
    Ok(())
}

/// The signals that end the program.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
