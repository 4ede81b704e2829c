//! Are the answers right, and there while others wait?

use ganger::StartMethod;
use nix::sys::signal::Signal;

use crate::client::send;
use crate::server::Server;

#[test]
fn totals_are_those_that_the_database_adds_up_itself() {
    for method in StartMethod::ALL {
        let server = Server::start(method, "");
        let oracle = server.oracle();
        assert_eq!(oracle.len(), 100);
        assert_eq!(oracle.values().map(|total| total["sales"].as_u64().unwrap()).sum::<u64>(), 20_000);
        for account in [1, 7, 100] {
            assert_eq!(server.total(account), oracle[&account], "{method}");
        }
        let report = server.get("/report").json(200);
        assert_eq!(report, oracle.into_values().collect::<serde_json::Value>(), "{method}");
    }
}

#[test]
fn totals_are_answered_while_a_report_runs() {
    for method in StartMethod::ALL {
        let mut server = Server::start(method, "--grace 0");
        let oracle = server.oracle();
        // It would take a minute: nobody waits for its end here.
        let report = server.ask("/report?pause_ms=1000");
        server.wait_for_task("slow_total");
        for account in [1, 2, 3] {
            assert_eq!(server.total(account), oracle[&account], "{method}");
        }
        assert!(!report.is_answered(), "{method}");
        server.signal(Signal::SIGTERM);
        assert_eq!(report.answer().json(503)["outcome"], "cancelled", "{method}");
        server.end_cleanly();
    }
}

#[test]
fn a_connection_may_ask_more_than_once() {
    let server = Server::start(StartMethod::Forkserver, "");
    let first = "GET /total?account=1 HTTP/1.1\r\nHost: test\r\n\r\n";
    let last = "GET /health HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    let both = send(server.address(), &format!("{first}{last}")).everything();
    assert_eq!(both.matches("HTTP/1.1 200 OK").count(), 2, "{both}");
    let (total, health) = (both.find(r#"{"account":1,"#), both.find("free_places"));
    assert!(total.is_some() && total < health, "{both}");
}
