//! What dies costs its own request, and nothing else.

use ganger::StartMethod;
use ganger_tests::{signal, wait_until};
use nix::sys::signal::Signal;

use crate::client::LIMIT;
use crate::server::Server;

#[test]
fn a_task_that_crashes_costs_its_own_request() {
    for method in StartMethod::ALL {
        let server = Server::start(method, "");
        let total = server.total(7);
        for _ in 0..3 {
            let crash = server.get("/crash").json(500);
            assert_eq!(crash["outcome"], "killed", "{method}");
            assert!(crash["error"].as_str().unwrap().contains("was killed by SIGABRT"), "{crash}");
            assert_eq!(server.total(7), total, "{method}");
        }
        wait_until("both workers are there", LIMIT, || server.workers(), |workers| workers.len() == 2);
    }
}

#[test]
fn crashes_beside_a_report_do_not_disturb_it() {
    let server = Server::start(StartMethod::Forkserver, "");
    let report = server.ask("/report?pause_ms=20");
    server.wait_for_task("slow_total");
    let crashes: Vec<_> = (0..5).map(|_| server.ask("/crash")).collect();
    for crash in crashes {
        crash.answer().json(500);
    }
    assert_eq!(report.answer().json(200), server.get("/report").json(200));
}

#[test]
fn a_worker_that_is_killed_from_outside_costs_no_answer() {
    for method in StartMethod::ALL {
        let server = Server::start(method, "");
        let whole = server.get("/report").json(200);
        let report = server.ask("/report?pause_ms=50");
        let victim = server.wait_for_task("slow_total");
        signal(victim, Signal::SIGKILL);
        assert_eq!(server.total(1), whole[0], "{method}");
        assert_eq!(report.answer().json(200), whole, "{method}");
        let workers = wait_until("both are there", LIMIT, || server.workers(), |workers| workers.len() == 2);
        assert!(!workers.contains(&victim), "{method}: {workers:?}, {victim}");
    }
}

#[test]
fn without_its_guardian_a_forked_gang_is_broken_and_that_is_said() {
    let server = Server::start(StartMethod::Fork, "");
    let worker = server.workers()[0];
    let stat = std::fs::read_to_string(format!("/proc/{worker}/stat")).unwrap();
    let guardian = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(1).unwrap().parse().unwrap();
    signal(guardian, Signal::SIGKILL);
    let health = wait_until("it is broken", LIMIT, || server.get("/health"), |health| health.status == 503);
    assert!(health.json(503)["broken"].as_str().unwrap().contains("guardian"), "{health:?}");
    assert_eq!(server.get("/total?account=7").json(503)["outcome"], "pool-broken");
    assert_eq!(server.get("/").status, 200);
}
