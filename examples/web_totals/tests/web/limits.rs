//! No request waits for ever, and not too many wait.

use ganger::StartMethod;
use ganger_tests::wait_until;

use crate::client::LIMIT;
use crate::server::Server;

#[test]
fn more_than_the_bound_are_refused_and_others_answered() {
    let server = Server::start(StartMethod::Forkserver, "--in-flight 1");
    let report = server.ask("/report?pause_ms=60000");
    server.wait_for_task("slow_total");
    for target in ["/total?account=7", "/report", "/crash"] {
        let refusal = server.get(target);
        assert!(refusal.json(503)["error"].as_str().unwrap().contains("too many requests"));
        assert_eq!(refusal.header("retry-after"), Some("1"));
    }
    assert_eq!(server.health()["free_places"], 0);
    assert_eq!(server.get("/").status, 200);
    assert!(!report.is_answered());
    // Its place and its workers are free again, long before it would have ended.
    report.hang_up();
    wait_until("its place is free", LIMIT, || server.health(), |health| health["free_places"] == 1);
    assert_eq!(server.total(7), server.oracle()[&7]);
}

#[test]
fn the_tasks_of_a_client_that_hangs_up_are_stopped() {
    for method in StartMethod::ALL {
        let server = Server::start(method, "");
        let report = server.ask("/report?pause_ms=3600000");
        server.wait_for_task("slow_total");
        report.hang_up();
        let idle = |health: &serde_json::Value| {
            health["workers"].as_array().unwrap().iter().all(|worker| worker["running"].is_null())
        };
        wait_until("nothing runs", LIMIT, || server.health(), idle);
        assert_eq!(server.total(7), server.oracle()[&7]);
    }
}

#[test]
fn a_request_that_takes_too_long_is_given_up() {
    let server = Server::start(StartMethod::Forkserver, "--deadline 1");
    let late = server.get("/report?pause_ms=3600000");
    assert_eq!(late.json(504)["error"], "no answer within 1s");
    // Its workers are being replaced: on a busy machine that may take longer than this deadline.
    let total = || server.get("/total?account=7");
    let total = wait_until("others are answered", LIMIT, total, |answer| answer.status == 200);
    assert_eq!(total.json(200), server.oracle()[&7]);
}
