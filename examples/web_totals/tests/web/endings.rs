//! How it ends, and what is left of it: nothing.

use ganger::StartMethod;
use nix::sys::signal::Signal;

use crate::client::send;
use crate::server::Server;

#[test]
fn what_is_under_way_is_finished_after_a_signal() {
    for method in StartMethod::ALL {
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            let mut server = Server::start(method, "--grace 3600");
            let whole = server.get("/report").json(200);
            let report = server.ask("/report?pause_ms=20");
            server.wait_for_task("slow_total");
            server.signal(signal);
            server.wait_until_closed();
            assert_eq!(report.answer().json(200), whole, "{method}, {signal}");
            server.end_cleanly();
        }
    }
}

#[test]
fn the_second_signal_ends_it_at_once() {
    for method in StartMethod::ALL {
        let mut server = Server::start(method, "--grace 3600");
        let report = server.ask("/report?pause_ms=3600000");
        server.wait_for_task("slow_total");
        server.signal(Signal::SIGINT);
        server.wait_until_closed();
        assert!(!report.is_answered(), "{method}");
        server.signal(Signal::SIGTERM);
        assert_eq!(report.answer().json(503)["outcome"], "cancelled", "{method}");
        server.end_cleanly();
    }
}

#[test]
fn a_client_that_says_nothing_does_not_hold_up_the_end() {
    let mut server = Server::start(StartMethod::Forkserver, "--grace 1");
    // Half of a request, and none at all.
    let _half = send(server.address(), "GET /total?acc");
    let _silent = send(server.address(), "");
    server.total(7);
    server.signal(Signal::SIGTERM);
    server.end_cleanly();
}

#[test]
fn a_killed_server_leaves_no_worker() {
    for method in StartMethod::ALL {
        let mut server = Server::start(method, "");
        let _report = server.ask("/report?pause_ms=3600000");
        server.wait_for_task("slow_total");
        server.signal(Signal::SIGKILL);
        assert!(!server.end().success());
        // The end of the test looks whether anything is left.
    }
}
