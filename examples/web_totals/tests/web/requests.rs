//! Wrong requests are told what is wrong with them.

use ganger::StartMethod;

use crate::client::{send, status_of};
use crate::server::Server;

#[test]
fn wrong_requests_are_refused_and_the_next_is_answered() {
    let server = Server::start(StartMethod::Forkserver, "");
    let total = server.total(7);
    for (target, status, told) in [
        ("/total", 400, "missing field `account`"),
        ("/total?account=", 400, "account"),
        ("/total?account=seven", 400, "invalid digit"),
        ("/total?account=7.5", 400, "invalid digit"),
        ("/total?account=9223372036854775808", 400, "number too large"),
        ("/total?account=7&account=8", 400, "duplicate field"),
        ("/total?account=%FF", 400, "account"),
        ("/total?account=1;DROP%20TABLE%20sale", 400, "invalid digit"),
        ("/report?pause_ms=-1", 400, "invalid digit"),
        ("/total?account=-1", 404, "account -1 has no sales"),
        ("/total?account=101", 404, "account 101 has no sales"),
        ("/totals", 404, ""),
        ("/total/7", 404, ""),
    ] {
        let refusal = server.get(target);
        assert_eq!(refusal.status, status, "{target}: {refusal:?}");
        assert!(refusal.body.contains(told), "{target}: {refusal:?}");
        assert_eq!(server.total(7), total, "after {target}");
    }
}

#[test]
fn other_methods_are_refused() {
    let server = Server::start(StartMethod::Forkserver, "");
    for method in ["POST", "PUT", "DELETE", "BREW"] {
        let request = format!("{method} /total?account=7 HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        let refusal = send(server.address(), &request).answer();
        assert_eq!((refusal.status, refusal.header("allow")), (405, Some("get,head")), "{refusal:?}");
    }
}

#[test]
fn strange_bytes_do_not_upset_the_server() {
    let server = Server::start(StartMethod::Forkserver, "");
    let many = format!("GET / HTTP/1.1\r\nHost: test\r\n{}\r\n", "X-Many: of these\r\n".repeat(10_000));
    for (bytes, statuses) in [
        ("hello\r\n\r\n".to_owned(), 400..=400),
        ("GET / HTTP/7.0\r\n\r\n".to_owned(), 400..=505),
        (format!("GET /{} HTTP/1.1\r\nHost: test\r\n\r\n", "a".repeat(100_000)), 400..=431),
        (many, 400..=431),
        // A body that is promised and never comes.
        (
            "POST / HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 18446744073709551615\r\n\r\n"
                .to_owned(),
            400..=431,
        ),
    ] {
        // It may close the connection before all has been sent.
        if let Some(status) = status_of(server.address(), &bytes) {
            assert!(statuses.contains(&status), "{status}: {:?}", &bytes[..bytes.len().min(60)]);
        }
        assert_eq!(server.total(7)["account"], 7);
    }
}

#[test]
fn the_page_links_to_what_is_there() {
    let server = Server::start(StartMethod::Forkserver, "");
    let page = server.get("/");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let links: Vec<_> = page.body.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(links, ["/report", "/report?pause_ms=100", "/crash", "/health"]);
    assert_eq!(server.get(links[0]).status, 200);
    let head = send(server.address(), "HEAD / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").everything();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
}
