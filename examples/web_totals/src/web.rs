//! What is behind the addresses: each handler asks the pool, and waits without keeping anybody else waiting.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, Response};
use axum::routing::get;
use axum::{Json, Router};
use ganger::{AsyncResult, Pool, Retry, RetryOn, RunningTask, TaskError, WorkerStatus};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::refusal::Refusal;
use crate::sales::{self, Total};

/// What all handlers share.
struct App {
    /// Whose tasks are run once, whatever happens to them.
    pool: Pool,
    /// The same gang, for tasks that only read: if their worker is killed, they can be tried again.
    reading: Pool,
    /// The same gang, for what can wait: these tasks begin when no others wait.
    background: Pool,
    /// A permit for each request that may wait for tasks.
    places: Semaphore,
    deadline: Duration,
}

/// The application, for at most `in_flight` requests that wait for tasks, each until its `deadline`.
pub(crate) fn routes(pool: &Pool, in_flight: usize, deadline: Duration) -> Result<Router, ganger::Error> {
    let reading = pool.with_retry(&Retry::new(3).on([RetryOn::Crash]))?;
    let background = reading.with_priority(-1);
    let app = App { pool: pool.clone(), reading, background, places: Semaphore::new(in_flight), deadline };
    let app = Arc::new(app);
    let waiting = Router::new()
        .route("/total", get(total))
        .route("/report", get(report))
        .route("/crash", get(crash))
        .route_layer(from_fn_with_state(app.clone(), within_limits));
    Ok(Router::new().route("/", get(page)).route("/health", get(health)).merge(waiting).with_state(app))
}

/// Around every handler that waits for tasks: a bound for how many there are, and for how long each waits.
async fn within_limits(State(app): State<Arc<App>>, request: Request, next: Next) -> Result<Response, Refusal> {
    let _place = app.places.try_acquire().map_err(|_| Refusal::Busy)?;
    timeout(app.deadline, next.run(request)).await.map_err(|_| Refusal::Late(app.deadline))
}

async fn page() -> Html<&'static str> {
    Html(include_str!("index.html"))
}

#[derive(Deserialize)]
struct Of {
    account: i64,
}

async fn total(State(app): State<Arc<App>>, Query(of): Query<Of>) -> Result<Json<Total>, Refusal> {
    let total: Option<Total> = outcome(app.reading.apply_async(sales::total, (of.account,))).await?;
    total.map(Json).ok_or(Refusal::NoAccount(of.account))
}

#[derive(Deserialize)]
struct Pace {
    #[serde(default)]
    pause_ms: u64,
}

async fn report(State(app): State<Arc<App>>, Query(pace): Query<Pace>) -> Result<Json<Vec<Total>>, Refusal> {
    let accounts: Vec<i64> = outcome(app.reading.apply_async(sales::accounts, ())).await?;
    let tasks = accounts.into_iter().map(|account| (account, pace.pause_ms));
    let totals: Vec<Option<Total>> = outcome(app.background.starmap_async(sales::slow_total, tasks)).await?;
    Ok(Json(totals.into_iter().flatten().collect()))
}

async fn crash(State(app): State<Arc<App>>) -> Result<(), Refusal> {
    Ok(outcome(app.pool.apply_async(sales::crash, ())).await?)
}

/// Who is there, and what they do. A gang that is broken stays so: whoever watches the server should start it anew.
async fn health(State(app): State<Arc<App>>) -> (StatusCode, Json<Value>) {
    let worker =
        |worker: &WorkerStatus| json!({ "pid": worker.pid(), "running": worker.running().map(RunningTask::task) });
    let broken = app.pool.broken();
    let status = if broken.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "broken": broken,
        "workers": app.pool.workers().iter().map(worker).collect::<Vec<_>>(),
        "tasks": app.pool.insights().total().tasks(),
        "free_places": app.places.available_permits(),
    });
    (status, Json(body))
}

/// Waits for tasks. Whoever drops this (the deadline is over, the client has hung up, the server ends) stops them.
async fn outcome<V>(tasks: AsyncResult<V>) -> Result<V, TaskError> {
    struct CancelOnDrop<V>(AsyncResult<V>);
    impl<V> Drop for CancelOnDrop<V> {
        fn drop(&mut self) {
            self.0.cancel();
        }
    }
    let mut tasks = CancelOnDrop(tasks);
    (&mut tasks.0).await
}
