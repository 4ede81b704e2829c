//! Why a request gets no answer, as HTTP says it.

use std::time::Duration;

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use ganger::{TaskError, TaskErrorKind};
use serde_json::{Value, json};

/// What a request gets instead of an answer. (Unknown addresses, other methods and wrong parameters are axum's to refuse.)
pub(crate) enum Refusal {
    /// As many requests as may wait for tasks do so already.
    Busy,
    /// The deadline is over.
    Late(Duration),
    /// An account without sales.
    NoAccount(i64),
    /// A task has ended without a value.
    Task(TaskError),
}

impl From<TaskError> for Refusal {
    fn from(error: TaskError) -> Self {
        Self::Task(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let told = |text: String| Json(json!({ "error": text }));
        match self {
            Self::Busy => {
                let text = "too many requests wait for tasks: try again".to_owned();
                (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], told(text)).into_response()
            }
            Self::Late(limit) => {
                (StatusCode::GATEWAY_TIMEOUT, told(format!("no answer within {limit:?}"))).into_response()
            }
            Self::NoAccount(account) => {
                (StatusCode::NOT_FOUND, told(format!("account {account} has no sales"))).into_response()
            }
            Self::Task(error) => (status(error.kind()), Json(describe(&error))).into_response(),
        }
    }
}

fn status(kind: TaskErrorKind) -> StatusCode {
    match kind {
        // The server ends, or its gang is gone for good.
        TaskErrorKind::Cancelled | TaskErrorKind::NotRunning | TaskErrorKind::PoolBroken => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        // The task returned an error, panicked, or took its worker down with it.
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The outcome by its fixed name, and in words. A public server would write the words to its log instead.
fn describe(error: &TaskError) -> Value {
    json!({ "error": error.to_string(), "outcome": error.kind().as_str() })
}
