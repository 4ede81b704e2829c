//! The server in a thread of the test, and what its clients see.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::time::Duration;

use ganger_os::fd::Fd;
use ganger_os::socket::{packet_pair, send_all, stream_pair};

use super::client::{Key, Route};
use super::objects::fresh_number;
use super::server::{Gate, Setup, Socket, serve};
use super::{Client, Dict, Managed};
use crate::error::ErrorKind;
use crate::wire::descriptor::Descriptor;

/// A limit that a test can reach.
const LIMIT: usize = 1 << 20;

/// Longer than anything takes.
const LONG: Duration = Duration::from_secs(20);

/// A server, which ends when nobody has a proxy any more.
fn client() -> Client {
    hosted(None).0
}

fn hosted(gate: Option<Gate>) -> (Client, Descriptor) {
    let (ours, theirs) = packet_pair().expect("descriptors");
    std::thread::spawn(move || serve(Setup { door: theirs, gate, limit: LIMIT }));
    let door = std::os::fd::AsFd::as_fd(&ours).try_clone_to_owned().map(Descriptor::from).expect("descriptors");
    (Client::new(Route::door(fresh_number().expect("random"), door.clone())), door)
}

/// A server that listens, for those who have the key "key".
fn listening() -> (Client, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    listener.set_nonblocking(true).expect("a socket");
    let address = listener.local_addr().expect("bound");
    (hosted(Some(Gate { socket: Socket::Tcp(listener), key: Key(b"key".to_vec()) })).0, address)
}

fn on_a_thread<R: Send>(action: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| scope.spawn(action).join().expect("it does not panic"))
}

#[test]
fn dictionaries_do_what_they_say() {
    let dict: Dict<String, i64> = client().dict().expect("a dictionary");
    assert_eq!(dict.insert("b", &1).expect("b"), None);
    assert_eq!(dict.insert("a", &2).expect("a"), None);
    assert_eq!(dict.insert("b", &3).expect("b"), Some(1));
    assert_eq!(dict.add("b", 4).expect("adds"), 7);
    assert_eq!(dict.add("c", -4).expect("adds"), -4);
    assert_eq!(dict.keys().expect("keys"), ["b", "a", "c"]);
    assert_eq!(dict.values().expect("values"), [7, 2, -4]);
    assert_eq!(dict.entry("a").or_insert(&9).expect("there"), 2);
    assert_eq!(dict.entry("d").or_insert(&9).expect("new"), 9);
    assert_eq!(dict.remove("a").expect("a"), Some(2));
    assert_eq!(dict.remove("a").expect("a"), None);
    assert!(dict.contains("b").expect("b") && !dict.contains("a").expect("a"));
    assert_eq!(dict.update("b", |value: &mut i64, by: i64| *value *= by, (2,)).expect("updates"), Some(()));
    assert_eq!(dict.update("z", |value: &mut i64| *value, ()).expect("no z"), None);
    assert_eq!(dict.update_or_insert("z", &5, |value: &mut i64| *value += 1, ()).expect("z"), ());
    assert_eq!(dict.items().expect("items"), [("b", 14), ("c", -4), ("d", 9), ("z", 6)].map(|(k, v)| (k.into(), v)));
    dict.clear().expect("clears");
    assert!(dict.is_empty().expect("empty"));
}

#[test]
fn failures_of_functions_are_errors_and_change_nothing() {
    let dict: Dict<u8, i64> = client().dict().expect("a dictionary");
    dict.insert(&1, &i64::MAX).expect("inserts");
    let failed: Result<Option<()>, _> = dict.update(
        &1,
        |value: &mut i64| -> Result<(), String> {
            *value = 0;
            Err("no".into())
        },
        (),
    );
    let error = failed.expect_err("it failed");
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Remote, "no"));
    let panicked = dict.update::<_, _, _, ()>(
        &1,
        |value: &mut i64| -> () {
            *value = 0;
            panic!("oh {}", 1)
        },
        (),
    );
    let error = panicked.expect_err("it panicked");
    assert_eq!(error.kind(), ErrorKind::Remote);
    assert!(error.to_string().contains("panicked in the manager: oh 1"), "{error}");
    assert_eq!(dict.add(&1, 1).expect_err("too large").kind(), ErrorKind::Remote);
    assert_eq!(dict.get(&1).expect("as it was"), Some(i64::MAX));
}

#[test]
fn lists_do_what_they_say() {
    let list = client().list::<u32>().expect("a list");
    list.extend(0..100_000).expect("extends");
    assert_eq!(list.len().expect("len"), 100_000);
    assert_eq!(list.slice(99_998..).expect("slice"), [99_998, 99_999]);
    assert_eq!(list.slice(..=1).expect("slice"), [0, 1]);
    assert!(list.slice(200_000..).expect("nothing").is_empty());
    list.clear().expect("clears");
    [5, 3, 4].iter().for_each(|value| list.push(value).expect("pushes"));
    list.insert(1, &9).expect("inserts");
    list.insert(100, &1).expect("inserts");
    assert_eq!(list.slice(..).expect("all"), [5, 9, 3, 4, 1]);
    list.update_all(|all: &mut Vec<u32>| all.sort_unstable(), ()).expect("sorts");
    assert_eq!(list.slice(..).expect("all"), [1, 3, 4, 5, 9]);
    assert_eq!(list.set(0, &2).expect("sets"), Some(1));
    assert_eq!(list.set(9, &2).expect("nothing there"), None);
    assert_eq!(list.add(0, 40).expect("adds"), Some(42));
    assert_eq!(list.add(9, 40).expect("nothing there"), None);
    assert_eq!(
        list.update(
            1,
            |value: &mut u32| {
                *value += 1;
                *value
            },
            ()
        )
        .expect("updates"),
        Some(4)
    );
    assert_eq!(list.update(9, |value: &mut u32| *value, ()).expect("nothing there"), None);
    assert_eq!((list.remove(1).expect("4"), list.remove(9).expect("nothing")), (Some(4), None));
    assert_eq!((list.get(0).expect("42"), list.get(9).expect("nothing")), (Some(42), None));
    assert_eq!(list.pop().expect("9"), Some(9));
    let (slots, replies) =
        list.batch(|batch| (batch.push(&7), batch.add(0, 1), batch.pop(), batch.get(50))).expect("batch");
    replies.check().expect("all went well");
    replies.get(slots.0).expect("pushed");
    assert_eq!(replies.get(slots.1).expect("added"), Some(43));
    assert_eq!(replies.get(slots.2).expect("popped"), Some(7));
    assert_eq!(replies.get(slots.3).expect("nothing"), None);
}

#[test]
fn what_fails_in_a_batch_keeps_nothing_else_from_being_done() {
    let dict: Dict<String, u8> = client().dict().expect("a dictionary");
    let (slots, replies) =
        dict.batch(|batch| (batch.add("a", 200), batch.add("a", 100), batch.add("a", 1))).expect("a batch");
    assert_eq!(replies.get(slots.0).expect("added"), 200);
    assert_eq!(replies.get(slots.1).expect_err("too large").kind(), ErrorKind::Remote);
    assert_eq!(replies.get(slots.2).expect("added"), 201);
    assert_eq!(replies.check().expect_err("one failed").kind(), ErrorKind::Remote);
    assert_eq!(
        dict.add_many([("b".to_owned(), 200), ("b".to_owned(), 100)]).expect_err("too large").kind(),
        ErrorKind::Remote
    );
    let (_, replies) = dict.batch(|_| ()).expect("nothing to do");
    assert!(replies.is_empty());
}

#[test]
fn namespaces_know_the_types_of_their_values() {
    let names = client().namespace().expect("a namespace");
    names.set("x", &1_u32).expect("sets");
    names.set("s", &"text".to_owned()).expect("sets");
    assert_eq!(names.add("x", 2_u32).expect("adds"), 3);
    assert_eq!(names.add("x", 2_i32).expect_err("no i32").kind(), ErrorKind::Mismatch);
    assert_eq!(names.add("new", 0.5).expect("adds"), 0.5);
    assert_eq!(names.get::<i32>("x").expect_err("no i32").kind(), ErrorKind::NotDeserializable);
    assert_eq!(names.get::<String>("s").expect("a text"), Some("text".into()));
    assert_eq!(names.get::<String>("none").expect("none"), None);
    let push = |text: &mut String, more: char| text.push(more);
    assert_eq!(names.update("s", push, ('s',)).expect("updates"), Some(()));
    assert_eq!(names.update("x", push, ('s',)).expect_err("no text").kind(), ErrorKind::Remote);
    assert!(names.compare_and_swap("x", Some(&3_u32), Some(&4_u32)).expect("swaps"));
    assert!(!names.compare_and_swap("x", Some(&4_i32), Some(&5_i32)).expect("another type"));
    assert_eq!(names.names().expect("names"), ["x", "s", "new"]);
    assert!(names.remove("s").expect("removes") && !names.contains("s").expect("gone"));
}

#[test]
fn counters_count() {
    let counter = client().counter().expect("a counter");
    assert_eq!((counter.add(5).expect("5"), counter.add(-7).expect("-2")), (5, -2));
    assert_eq!((counter.set(i64::MAX).expect("was"), counter.get().expect("is")), (-2, i64::MAX));
    assert_eq!(counter.add(1).expect_err("too large").kind(), ErrorKind::Remote);
    assert!(
        counter.compare_and_swap(i64::MAX, 0).expect("it is") && !counter.compare_and_swap(1, 2).expect("it is not")
    );
}

#[test]
fn queues_wait_and_keep_their_order() {
    let queue = client().queue::<u32>(2).expect("a queue");
    assert_eq!(queue.try_get().expect_err("empty").kind(), ErrorKind::Empty);
    assert_eq!(queue.get_timeout(Duration::from_millis(5)).expect_err("empty").kind(), ErrorKind::TimedOut);
    queue.put(&1).expect("room");
    queue.try_put(&2).expect("room");
    assert_eq!(queue.try_put(&3).expect_err("full").kind(), ErrorKind::Full);
    assert_eq!(queue.put_timeout(&3, Duration::from_millis(5)).expect_err("full").kind(), ErrorKind::TimedOut);
    std::thread::scope(|scope| {
        let putting = scope.spawn(|| (3..100).try_for_each(|value| queue.put_timeout(&value, LONG)));
        (1..100).for_each(|value| assert_eq!(queue.get_timeout(LONG).expect("there is one"), value));
        putting.join().expect("no panic").expect("all were put");
    });
    assert_eq!(client().queue::<u8>(0).expect_err("no room").kind(), ErrorKind::InvalidSetting);
}

#[test]
fn a_lock_is_held_by_one_thread_and_released_with_it() {
    let lock = client().lock().expect("a lock");
    let guard = lock.lock().expect("free");
    assert_eq!(lock.lock().expect_err("its own").kind(), ErrorKind::WouldDeadlock);
    assert!(lock.try_lock().expect("asked").is_none());
    on_a_thread(|| {
        assert!(lock.try_lock().expect("asked").is_none());
        assert_eq!(lock.lock_timeout(Duration::from_millis(5)).expect_err("held").kind(), ErrorKind::TimedOut);
    });
    drop(guard);
    on_a_thread(|| std::mem::forget(lock.lock_timeout(LONG).expect("free")));
    let guard = lock.lock_timeout(LONG).expect("its thread has ended");
    assert!(guard.abandoned());
    guard.release().expect("held");
    assert!(!lock.lock().expect("free").abandoned());
}

#[test]
fn a_lease_ends_although_its_holder_lives() {
    let lock = client().lock().expect("a lock");
    let kept = lock.leased(Duration::from_millis(20)).lock().expect("free");
    // Two wait, so that the second has to wait for the first.
    std::thread::scope(|scope| {
        let waiting = [(); 2].map(|()| scope.spawn(|| lock.lock_timeout(LONG).map(|guard| guard.abandoned())));
        let abandoned = waiting.map(|waiting| waiting.join().expect("no panic").expect("it was taken back"));
        assert!(abandoned.contains(&true) && abandoned.contains(&false), "{abandoned:?}");
    });
    let again = lock.lock().expect("free");
    // It lost the lock, and does not release what was taken since.
    assert_eq!(kept.release().expect_err("lost").kind(), ErrorKind::NotOwner);
    again.release().expect("held");
}

#[test]
fn events_let_all_go_on() {
    let event = client().event().expect("an event");
    assert!(!event.wait_timeout(Duration::from_millis(5)).expect("not set"));
    std::thread::scope(|scope| {
        let waiting = [(); 3].map(|()| scope.spawn(|| event.wait_timeout(LONG)));
        event.set().expect("sets");
        waiting.into_iter().for_each(|waiting| assert!(waiting.join().expect("no panic").expect("set")));
    });
    event.wait().expect("set");
    event.clear().expect("clears");
    assert!(!event.is_set().expect("asked"));
}

#[test]
fn objects_by_name_are_found_by_all_and_have_one_type() {
    let client = client();
    let there = client.named("n").list::<u8>().expect("a list");
    there.push(&1).expect("pushes");
    on_a_thread(|| assert_eq!(client.named("n").list::<u8>().expect("the same").len().expect("len"), 1));
    let error = client.named("n").list::<u16>().expect_err("another type");
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    assert!(error.to_string().contains("\"n\" is a list of u8 in the manager, not a list of u16"), "{error}");
    let other = there.clone();
    there.discard().expect("discards");
    assert_eq!(other.len().expect_err("gone").kind(), ErrorKind::Closed);
    assert_eq!(client.named("n").list::<u16>().expect("a new one").len().expect("len"), 0);
}

#[test]
fn who_waits_for_an_object_that_is_discarded_is_told() {
    let queue = client().queue::<u8>(1).expect("a queue");
    std::thread::scope(|scope| {
        let waiting = [(); 2].map(|()| scope.spawn(|| queue.get_timeout(LONG)));
        queue.clone().discard().expect("discards");
        for waiting in waiting {
            assert_eq!(waiting.join().expect("no panic").expect_err("gone").kind(), ErrorKind::Closed);
        }
    });
}

struct Tally(Vec<u32>);

fn tally_from(first: u32) -> Result<Tally, String> {
    if first == 0 { Err("0 is no first".into()) } else { Ok(Tally(vec![first])) }
}

impl Drop for Tally {
    fn drop(&mut self) {
        assert!(self.0.len() != 2, "an end that panics");
    }
}

#[test]
fn objects_of_own_types_live_in_the_server() {
    let client = client();
    let tally: Managed<Tally> = client.object(tally_from, (3,)).expect("made");
    let count = |tally: &mut Tally, more: u32| {
        tally.0.push(more);
        tally.0.iter().sum::<u32>()
    };
    assert_eq!(tally.call(count, (4,)).expect("counts"), 7);
    let error = client.object::<_, _, Tally>(tally_from, (0,)).expect_err("refused");
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Remote, "0 is no first"));
    let error = tally.call(|tally: &mut Tally| -> u32 { tally.0[7] }, ()).expect_err("there is no such");
    assert_eq!(error.kind(), ErrorKind::Remote);
    assert_eq!(tally.call(|tally: &mut Tally| tally.0.clone(), ()).expect("it lives"), [3, 4]);
    tally.discard().expect("what its end does is its own affair");
    client.counter().expect("the server lives");
}

#[test]
fn proxies_are_values_like_others_in_their_own_manager() {
    let client = client();
    let inner = client.list::<u8>().expect("a list");
    let outer: Dict<String, super::List<u8>> = client.dict().expect("a dictionary");
    outer.insert("inner", &inner).expect("travels");
    let found = outer.get("inner").expect("comes back").expect("is there");
    found.push(&1).expect("the same object");
    assert_eq!(inner.len().expect("len"), 1);
    let inside: Result<Option<usize>, _> = outer.update(
        "inner",
        |list: &mut super::List<u8>| list.len().map_err(|error| error.kind() == ErrorKind::WouldDeadlock),
        (),
    );
    assert!(inside.expect_err("it would wait for itself").to_string().contains("true"));
    let other = self::client().list::<super::List<u8>>().expect("in another manager");
    assert_eq!(other.push(&inner).expect_err("holds a descriptor").kind(), ErrorKind::NotSerializable);
}

#[test]
fn what_is_too_large_is_refused_and_the_connection_lives() {
    let list = client().list::<Vec<u8>>().expect("a list");
    let large = vec![7; LIMIT / 2];
    assert_eq!(list.push(&vec![7; LIMIT]).expect_err("too large").kind(), ErrorKind::TooLarge);
    list.push(&large).expect("fits");
    list.push(&large).expect("fits");
    assert_eq!(list.slice(..).expect_err("too large").kind(), ErrorKind::TooLarge);
    assert_eq!(list.get(1).expect("fits"), Some(large));
    let (slots, replies) = list.batch(|batch| (0..2000).map(|_| batch.get(0)).collect::<Vec<_>>()).expect("a batch");
    replies.get(slots[0]).expect("fits").expect("is there");
    assert_eq!(replies.get(slots[1999]).expect_err("does not").kind(), ErrorKind::TooLarge);
}

/// What clients may send that is none of ours.
#[test]
fn garbage_costs_its_sender_and_nobody_else() {
    let (client, door) = hosted(None);
    let counter = client.counter().expect("a counter");
    let image = super::handshake::own_image();
    let knock = |hello: &[u8]| {
        let (ours, theirs) = stream_pair().expect("descriptors");
        ganger_os::socket::send_packet_waiting(&door, hello, &theirs).expect("the door is open");
        ours
    };
    let hostile: [&[u8]; 7] = [
        &[255; 64],
        &[0, 0, 0, 0],
        &[4, 0, 0, 0, 1, 2, 3, 4],
        &[12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255],
        &[9, 0, 0, 0, 1],
        &[1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1],
        b"GET / HTTP/1.1\r\n\r\n",
    ];
    for (round, bytes) in hostile.iter().enumerate() {
        let connection = knock(&image);
        send_all(&connection, bytes).expect("it is read");
        if bytes.len() == 5 {
            // The first part of a message, and then the end.
            drop(connection);
        } else {
            assert!(ends(&connection), "round {round}");
        }
        counter.add(1).expect("others are served");
    }
    assert!(ends(&knock(b"short")));
    assert_eq!(counter.add(1).expect("others are served"), 8);
}

/// Whether the server closes the connection.
fn ends(connection: &Fd) -> bool {
    use ganger_os::socket::{Received, receive_waiting};
    let mut buffer = [0; 4096];
    loop {
        match receive_waiting(connection, &mut buffer) {
            Ok(Received::Bytes(_)) => {}
            Ok(Received::End) | Err(_) => return true,
            Ok(Received::Nothing) => return false,
        }
    }
}

#[test]
fn the_server_ends_with_the_last_who_knows_it() {
    let (ours, theirs) = packet_pair().expect("descriptors");
    let server = std::thread::spawn(move || serve(Setup { door: theirs, gate: None, limit: LIMIT }));
    let door = std::os::fd::AsFd::as_fd(&ours).try_clone_to_owned().map(Descriptor::from).expect("descriptors");
    drop(ours);
    on_a_thread(move || {
        let counter = Client::new(Route::door(1, door)).counter().expect("a counter");
        counter.add(1).expect("adds");
    });
    server.join().expect("no panic").expect("it ends in order");
}

#[test]
fn others_are_let_in_who_have_the_key() {
    let (client, address) = listening();
    client.named("n").counter().expect("a counter").add(1).expect("adds");
    let wrong = Client::connect(address.into(), b"wrong").expect_err("refused");
    assert_eq!(wrong.kind(), ErrorKind::Authentication);
    let other = Client::connect(address.into(), b"key").expect("let in");
    let counter = other.named("n").counter().expect("the same");
    assert_eq!(counter.add(1).expect("adds"), 2);
    let dict: Dict<u8, u8> = other.dict().expect("a dictionary");
    dict.insert(&1, &1).expect("inserts");
    assert_eq!(dict.update(&1, |value: &mut u8| *value += 1, ()).expect("the same program"), Some(()));
    let mut bytes = Vec::new();
    assert!(crate::wire::codec::encode(&other, &mut bytes).is_err(), "the key goes into no file");
}

/// Those who stall, leave, or send too much in the middle of the proof: more of them than are waited for.
#[test]
fn nobody_is_kept_out_by_those_who_prove_nothing() {
    use std::io::Write;
    let (_client, address) = listening();
    let mut guests = Vec::new();
    for round in 0..200_u8 {
        let mut guest = std::net::TcpStream::connect(address).expect("connects");
        match round % 4 {
            0 => guests.push(guest),
            1 => drop(guest),
            // It may be closed by now, as others came.
            2 => drop(guest.write_all(&[round; 17])),
            _ => drop(guest.write_all(&[round; 4096])),
        }
    }
    Client::connect(address.into(), b"key").expect("let in").counter().expect("served").add(1).expect("served");
}

/// A server that is not ours, at the address where ours is expected.
#[test]
fn what_only_looks_like_a_manager_is_not_trusted() {
    use std::io::{Read, Write};
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = listener.local_addr().expect("bound");
    let answers: [&[u8]; 4] =
        [b"HTTP/1.1 400 Bad Request and more, as long as a challenge", b"", b"GANGERM1", &[7; 4096]];
    std::thread::scope(|scope| {
        let impostor = scope.spawn(|| {
            for answer in answers {
                let (mut stream, _) = listener.accept().expect("accepts");
                stream.write_all(answer).expect("writes");
            }
            // One that knows the protocol, and believes everybody.
            let (mut stream, _) = listener.accept().expect("accepts");
            stream.write_all(&super::handshake::challenge(&[1; 32])).expect("writes");
            stream.read_exact(&mut [0; super::handshake::PROOF]).expect("reads");
            stream.write_all(&[1; super::handshake::VERDICT]).expect("writes");
        });
        for answer in answers {
            let error = Client::connect(address.into(), b"key").expect_err("no manager");
            let expected = [ErrorKind::Authentication, ErrorKind::Disconnected];
            assert!(expected.contains(&error.kind()), "{answer:?}: {error}");
        }
        let error = Client::connect(address.into(), b"key").expect_err("no manager");
        assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
        impostor.join().expect("no panic");
    });
}

#[test]
fn a_client_whose_server_is_gone_says_so() {
    let (ours, theirs) = packet_pair().expect("descriptors");
    drop(theirs);
    let door = Descriptor::from(std::os::fd::AsFd::as_fd(&ours).try_clone_to_owned().expect("descriptors") as OwnedFd);
    let client = Client::new(Route::door(2, door));
    assert_eq!(client.counter().expect_err("nobody there").kind(), ErrorKind::Disconnected);
}
