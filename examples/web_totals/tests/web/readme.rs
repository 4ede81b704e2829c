//! README.md shows requests with their answers: are these what a server with its own data says?

use ganger_tests::wait_until;

use crate::client::LIMIT;
use crate::server::{Place, Server};

/// Each `$ curl ...` and the lines below it, up to the next one or the end of the block.
fn shown() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let blocks = text.split("```").skip(1).step_by(2);
    let requests = blocks.flat_map(|block| block.split("$ curl -s ").skip(1));
    let parts = requests.map(|request| request.split_once('\n').unwrap());
    parts.map(|(command, answer)| (command.trim_matches('\'').to_owned(), answer.trim_end().to_owned())).collect()
}

/// Without what is different in every run: ids of processes and places of workers, and times.
fn lasting(text: &str) -> String {
    let mut lasting = String::new();
    for character in text.chars() {
        let character = if character.is_ascii_digit() { '#' } else { character };
        if character != '#' || !lasting.ends_with('#') {
            lasting.push(character);
        }
    }
    lasting
}

#[test]
fn the_readme_shows_what_the_server_says() {
    let server = Server::start_in(Place::new(), "--workers 2");
    let shown = shown();
    assert!(shown.len() >= 6, "{shown:?}");
    for (command, answer) in shown {
        let target = command.strip_prefix("http://127.0.0.1:8080").unwrap_or_else(|| panic!("{command}"));
        let ask = || server.get(target).body;
        if target.starts_with("/total") {
            assert_eq!(ask(), answer, "{target}");
        } else {
            // After a crash, both workers are there a moment later.
            wait_until(&lasting(&answer), LIMIT, ask, |said| lasting(said) == lasting(&answer));
        }
    }
}
