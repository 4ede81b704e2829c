//! Values that all workers share: sent once, decoded once, and bytes are there once.

use std::collections::BTreeMap;
use std::fs::{self, File};

use ganger::{Descriptor, Pool, StartMethod, TaskErrorKind, broadcast, broadcast_bytes, partial};
use ganger_tests::{Log, scratch};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::kit::{finish, pool};

pub(crate) const CONTRACT: crate::Contract = table![
    shared_value_is_decoded_once_in_each_worker,
    shared_value_serves_every_method,
    shared_value_reaches_recycled_workers,
    shared_bytes_are_one_copy_in_memory,
    shared_bytes_are_let_go_of,
    shared_value_may_hold_descriptors,
    shared_value_that_cannot_travel_is_the_outcome,
];

/// Says where it is decoded.
#[derive(Debug)]
struct Told(Vec<u64>);

impl Serialize for Told {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Log::new("encoded").add(std::process::id());
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Told {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Log::new("decoded").add(std::process::id());
        Vec::deserialize(deserializer).map(Self)
    }
}

fn nth(told: &Told, place: usize) -> u64 {
    told.0[place]
}

fn shared_value_is_decoded_once_in_each_worker(method: StartMethod) {
    let pool = pool(method, 3);
    let told = Told((0..1000).map(|x| x * 3).collect());
    let expected: Vec<u64> = (0..1000).map(|x| x * 3).collect();
    assert_eq!(pool.map_with(&told, nth, 0..1000), Ok(expected));
    assert_eq!(Log::new("encoded").lines(), [std::process::id().to_string()]);
    let mut decoded = Log::new("decoded").lines();
    let all = decoded.len();
    decoded.sort_unstable();
    decoded.dedup();
    assert!((1..=3).contains(&all) && decoded.len() == all, "{all} times, in {decoded:?}");
    finish(pool);
}

fn shared_value_serves_every_method(method: StartMethod) {
    let pool = pool(method, 2);
    let shared = broadcast(
        |words: &BTreeMap<u32, String>, x: u32| words[&x].clone(),
        &BTreeMap::from([(7, "seven".to_owned())]),
    );
    // By reference it would have to be `Copy`: one at a time, each call takes one over.
    assert_eq!(pool.apply(shared, (7,)), Ok("seven".to_owned()));
    let lengths = broadcast_bytes(|bytes: &[u8], x: usize| -> u64 { bytes[x].into() }, [5, 6, 7]);
    assert_eq!(pool.fold(lengths, [0, 2], 100, |a, b| a + b), Ok(112));
    let lazily = broadcast_bytes(|bytes: &[u8], x: usize| bytes[x], [5, 6, 7]);
    assert_eq!(pool.imap(lazily, 0..3).collect::<Result<Vec<u8>, _>>(), Ok(vec![5, 6, 7]));
    let fails = |bytes: &[u8], x: usize| bytes.get(x).copied().ok_or_else(|| format!("no byte {x}"));
    let error = pool.map_with_bytes([1, 2], fails, [0, 1, 2]).map(|_: Vec<u8>| ()).unwrap_err();
    assert_eq!((error.kind(), error.index(), error.message()), (TaskErrorKind::Failed, 2, "no byte 2"));
    assert_eq!(pool.map_with_bytes([], |bytes, x: usize| bytes.len() + x, [3]), Ok(vec![3]), "no bytes at all");
    finish(pool);
}

fn shared_value_reaches_recycled_workers(method: StartMethod) {
    let pool = Pool::builder().workers(2).start_method(method).max_tasks_per_worker(5).build().unwrap();
    let shared = vec![9_u8; 300_000];
    let pids = pool.map_with_bytes(&shared, |bytes, x: usize| (bytes[x * 1000], std::process::id()), 0..50).unwrap();
    assert!(pids.iter().all(|(byte, _)| *byte == 9));
    let mut pids: Vec<u32> = pids.into_iter().map(|(_, pid)| pid).collect();
    pids.sort_unstable();
    pids.dedup();
    assert!(pids.len() >= 10, "{}", pids.len());
    finish(pool);
}

/// How much of the shared bytes this process is charged with, in KiB; pages are divided among those who have them.
fn share() -> u64 {
    let maps = fs::read_to_string("/proc/self/smaps").unwrap();
    let mut lines = maps.lines().skip_while(|line| !line.contains("ganger-broadcast"));
    let number = |line: &str| line.split_whitespace().nth(1).unwrap().parse().unwrap();
    lines.find(|line| line.starts_with("Pss:")).map_or(0, number)
}

fn touch(bytes: &[u8], _: u32) -> (u64, u64) {
    let meet = |name: &str| {
        Log::new(name).add(std::process::id());
        Log::new(name).wait_for(8);
    };
    let sum = bytes.iter().step_by(4096).map(|byte| u64::from(*byte)).sum();
    meet("touched");
    let share = share();
    meet("measured");
    (sum, share)
}

fn shared_bytes_are_one_copy_in_memory(method: StartMethod) {
    const SIZE: usize = 100_000_000;
    let pool = pool(method, 8);
    let shares = pool.map_with_bytes(vec![1_u8; SIZE], touch, 0..8).unwrap();
    let pages = SIZE.div_ceil(4096) as u64;
    assert!(shares.iter().all(|(sum, _)| *sum == pages), "everybody has seen all pages");
    let together: u64 = shares.iter().map(|(_, share)| share).sum();
    let one = SIZE as u64 / 1024;
    assert!(together >= one * 9 / 10 && together <= one * 11 / 10, "{together} KiB of {one}: {shares:?}");
    finish(pool);
}

fn shared_bytes_are_let_go_of(method: StartMethod) {
    let pool = pool(method, 1);
    let mapped = |_: u32| {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let links = fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
        let open = links.filter(|link| link.to_string_lossy().contains("ganger-broadcast")).count();
        (maps.matches("ganger-broadcast").count(), open)
    };
    let with = |_: &[u8], x: u32| x;
    for _ in 0..3 {
        assert_eq!(pool.map_with_bytes(vec![3; 1 << 20], with, 0..10).unwrap().len(), 10);
        assert_eq!(pool.apply(mapped, (0,)), Ok((0, 0)));
    }
    finish(pool);
}

fn shared_value_may_hold_descriptors(method: StartMethod) {
    let path = scratch("shared");
    fs::write(&path, [0; 77]).unwrap();
    let file = Descriptor::new(File::open(&path).unwrap());
    let size = |(extra, files): &(u64, Vec<Descriptor>), x: u64| {
        let lengths = files.iter().map(|file| File::from(file.clone().into_owned().unwrap()).metadata().unwrap().len());
        extra + x + lengths.sum::<u64>()
    };
    let pool = pool(method, 2);
    let other = Descriptor::new(File::open("/dev/null").unwrap());
    let sizes = pool.map_with(&(1_u64, vec![other, file.clone(), file]), size, [0, 10]);
    assert_eq!(sizes, Ok(vec![155, 165]));
    finish(pool);
}

#[derive(Debug, Serialize)]
struct OneWay(u8);

impl<'de> Deserialize<'de> for OneWay {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("there is no way back"))
    }
}

#[derive(Debug, Deserialize)]
struct Unsendable;

impl Serialize for Unsendable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it must stay here"))
    }
}

fn shared_value_that_cannot_travel_is_the_outcome(method: StartMethod) {
    let pool = pool(method, 2);
    let error = pool.map_with(&OneWay(3), |one: &OneWay, x: u8| one.0 + x, [1, 2]).unwrap_err();
    assert_eq!((error.kind(), error.index()), (TaskErrorKind::NotDeserializable, 0), "{error}");
    assert!(error.message().contains("a shared value") && error.message().contains("no way back"), "{error}");
    let error = pool.map_with(&Unsendable, |_: &Unsendable, x: u8| x, [1, 2]).unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::NotSerializable, "{error}");
    assert!(error.message().contains("Unsendable) that cannot be serialized: it must stay here"), "{error}");
    assert_eq!(pool.map(partial(|a: u8, b: u8| a + b, (1,)), [1]), Ok(vec![2]), "the pool is as before");
    finish(pool);
}
