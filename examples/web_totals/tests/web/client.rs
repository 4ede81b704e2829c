//! A client of HTTP/1.1, written by hand: it shares no code with the server, and can do what no proper client would.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Nothing here takes that long: a test that would hang fails instead.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A request that was sent and may not be answered yet.
pub(crate) struct Sent(TcpStream);

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Sends `GET target`.
pub(crate) fn get(server: SocketAddr, target: &str) -> Sent {
    send(server, &format!("GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"))
}

/// The status of the answer to what is no proper request, if there is one: the server may close the connection at once.
pub(crate) fn status_of(server: SocketAddr, bytes: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    // It may do so before all has been sent.
    let _ = (stream.write_all(bytes.as_bytes()), stream.shutdown(Shutdown::Write));
    let mut status = [0; "HTTP/1.1 400".len()];
    match stream.read_exact(&mut status) {
        Ok(()) => String::from_utf8_lossy(&status).rsplit_once(' ')?.1.parse().ok(),
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset), "{error}");
            None
        }
    }
}

/// Sends these very bytes.
pub(crate) fn send(server: SocketAddr, bytes: &str) -> Sent {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    Sent(stream)
}

impl Sent {
    /// Waits for the answer.
    #[track_caller]
    pub(crate) fn answer(self) -> Response {
        let text = self.everything();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text:?}"));
        let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest[..3].parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status: {head:?}"));
        let response = Response { status, head: head.to_lowercase(), body: body.to_owned() };
        assert_eq!(response.header("content-length").map(str::parse), Some(Ok(body.len())), "{response:?}");
        response
    }

    /// Whether the answer has begun to come.
    pub(crate) fn is_answered(&self) -> bool {
        self.0.set_nonblocking(true).unwrap();
        let seen = self.0.peek(&mut [0]);
        self.0.set_nonblocking(false).unwrap();
        match seen {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// All that comes until the server closes the connection.
    pub(crate) fn everything(mut self) -> String {
        let mut text = String::new();
        self.0.read_to_string(&mut text).unwrap();
        text
    }

    /// Leaves without waiting for the answer.
    pub(crate) fn hang_up(self) {
        self.0.shutdown(Shutdown::Both).unwrap();
    }
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The body of an answer with this status.
    #[track_caller]
    pub(crate) fn json(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }
}
