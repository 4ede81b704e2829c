//! Values, arrays and shared arrays in several processes.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

use ganger::{
    Array, AsyncResult, Error, ErrorKind, Pool, RowsMut, SealedArray, SharedArray, StartMethod, TaskErrorKind, Value,
    partial, with_worker_state,
};
use ganger_tests::{Gate, marked, own_mark, wait_until};
use nix::sys::signal::Signal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::kit::{SOON, finish, pool, signal};

pub(crate) const CONTRACT: crate::Contract = table![
    values_and_elements_lose_no_update,
    rows_are_filled_in_place_and_travel_back,
    claims_exclude_other_processes_and_end_with_them,
    sealed_arrays_travel_and_cannot_be_written,
    shared_memory_is_gone_with_its_last_holder,
    memory_that_only_a_killed_worker_had_is_gone,
    failed_and_finished_users_destroy_nothing,
    what_travels_is_a_descriptor,
    one_copy_serves_all_workers,
];

pub(crate) const ONCE: crate::Once = table![captured_arrays_work_and_captured_rows_do_not];

const MIB: u64 = 1 << 20;

fn count_up(times: u32, sum: Value<u32>, mean: Value<f64>, cells: Array<i64>) -> Result<(), Error> {
    for round in 0..times {
        sum.fetch_add(1);
        mean.update(|value| value + 0.5);
        cells.value(round as usize % cells.len())?.fetch_sub(2);
    }
    Ok(())
}

fn values_and_elements_lose_no_update(method: StartMethod) {
    let pool = pool(method, 2);
    let (sum, mean) = (Value::new(0_u32).unwrap(), Value::new(1.0).unwrap());
    let cells = Array::<i64>::zeros(4).unwrap();
    let rows = (0..20).map(|_| (500, sum.clone(), mean.clone(), cells.slice(1..3).unwrap()));
    let _: Vec<()> = pool.starmap(count_up, rows).unwrap();
    assert_eq!((sum.get(), mean.get(), cells.to_vec()), (10_000, 5_001.0, vec![0, -10_000, -10_000, 0]));
    // A handle that comes back is the same value; an element is one, too.
    let back: Value<i64> = pool.apply(|cell: Value<i64>| cell, (cells.value(3).unwrap(),)).unwrap();
    back.set(7);
    assert_eq!(cells.get(3).unwrap(), 7);
    finish(pool);
}

fn fill(rows: SharedArray<u32, 2>) -> Result<SharedArray<u32, 2>, Error> {
    let first = rows.first_row();
    for (number, row) in rows.claim()?.rows_mut().enumerate() {
        row.iter_mut().enumerate().for_each(|(column, place)| *place = (100 * (first + number) + column) as u32);
    }
    Ok(rows)
}

fn rows_are_filled_in_place_and_travel_back(method: StartMethod) {
    let pool = pool(method, 2);
    let array = SharedArray::<u32, 2>::zeros([1001, 7]).unwrap();
    let back: Vec<SharedArray<u32, 2>> = pool.map(fill, array.split_rows(8).unwrap()).unwrap();
    assert_eq!(back.iter().map(|part| part.shape()[0]).sum::<usize>(), 1001);
    back[7].set([0, 0], 5).unwrap();
    let first = back[7].first_row();
    drop(back);
    let array = array.seal().unwrap();
    for (number, row) in array.rows().enumerate() {
        let expected = |column: usize| if (number, column) == (first, 0) { 5 } else { 100 * number + column };
        assert!(
            row.iter().enumerate().all(|(column, value)| *value as usize == expected(column)),
            "row {number}: {row:?}"
        );
    }
    finish(pool);
}

fn hold(rows: SharedArray<u64, 1>) -> Result<(), Error> {
    let mut claimed = rows.claim()?;
    claimed.fill(9);
    Gate::new("claimed").open();
    Gate::new("never").pass();
    Ok(())
}

fn claims_exclude_other_processes_and_end_with_them(method: StartMethod) {
    let pool = Pool::builder().workers(1).start_method(method).build().unwrap();
    let array = SharedArray::<u64, 1>::zeros([1000]).unwrap();
    let held: AsyncResult<()> = pool.apply_async(hold, (array.part(100..200).unwrap(),));
    let worker = pool.worker_pids()[0];
    Gate::new("claimed").pass();
    let overlapping = array.part(199..300).unwrap();
    for error in [
        overlapping.claim().map(drop),
        overlapping.view().map(drop),
        overlapping.set([0], 1),
        overlapping.write(&[1; 101]),
        array.seal().map(drop),
    ] {
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Claimed);
    }
    assert_eq!((array.get([100]).unwrap(), array.get([99]).unwrap()), (9, 0), "what is there can be seen");
    array.part(200..300).unwrap().claim().unwrap().fill(1);
    signal(worker, Signal::SIGKILL);
    assert_eq!(held.get().unwrap_err().kind(), TaskErrorKind::Killed(Signal::SIGKILL as i32));
    // At once: the kernel takes back what the dead held before it tells of the death.
    array.claim().unwrap()[[0]] = 3;
    assert_eq!(array.view().unwrap()[..][98..102], [0, 0, 9, 9]);
    finish(pool);
}

fn try_to_write(array: SharedArray<i32, 2>) -> Vec<String> {
    let kind = |outcome: Result<(), Error>| format!("{:?}", outcome.unwrap_err().kind());
    vec![kind(array.claim().map(drop)), kind(array.set([0, 0], 1)), kind(array.write(&[1; 4]))]
}

fn sealed_arrays_travel_and_cannot_be_written(method: StartMethod) {
    let pool = pool(method, 2);
    let array = SharedArray::from_vec([2, 2], [1, 2, 3, 4]).unwrap();
    let sealed = array.seal().unwrap();
    assert_eq!(pool.apply(try_to_write, (array.clone(),)).unwrap(), ["Sealed"; 3]);
    let look_up = |table: SealedArray<i32, 2>, row: usize| table.row(row).to_vec();
    assert_eq!(pool.map(partial(look_up, (sealed.clone(),)), [1, 0]).unwrap(), [[3, 4], [1, 2]]);
    let half: SealedArray<i32, 2> =
        pool.apply(|array: SharedArray<i32, 2>| array.part(1..2)?.seal(), (array.clone(),)).unwrap();
    assert_eq!((half[[0, 1]], &array.view().unwrap()[..]), (4, &[1, 2, 3, 4][..]));
    // Nobody is led to believe that an array is sealed that is not.
    let open = SharedArray::<i32, 2>::zeros([2, 2]).unwrap();
    let error = pool.apply(|_: AsSealed| (), (AsSealed(Some(open.clone())),)).unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::NotDeserializable, "{error}");
    open.set([0, 0], 1).unwrap();
    finish(pool);
}

/// Leaves as a shared array, and arrives as a sealed one.
struct AsSealed(Option<SharedArray<i32, 2>>);

impl Serialize for AsSealed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize_inner(serializer)
    }
}

impl<'de> Deserialize<'de> for AsSealed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        SealedArray::<i32, 2>::deserialize(deserializer).map(|_| Self(None))
    }
}

/// Leaves as an array of `f64`, and arrives as one of `f32`.
struct Narrowed(Option<SharedArray<f64, 2>>);

impl Serialize for Narrowed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize_inner(serializer)
    }
}

impl<'de> Deserialize<'de> for Narrowed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        SharedArray::<f32, 2>::deserialize(deserializer).map(|_| Self(None))
    }
}

/// Serializes what is there, without the `Option` around it.
trait SerializeInner {
    fn serialize_inner<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;
}

impl<T: Serialize> SerializeInner for Option<T> {
    fn serialize_inner<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_ref().unwrap().serialize(serializer)
    }
}

/// Which processes of the case have arrays' memory open or mapped.
fn holders() -> BTreeSet<u32> {
    let mut pids: Vec<u32> = marked(&own_mark());
    pids.push(std::process::id());
    pids.into_iter().filter(|pid| holds(*pid)).collect()
}

fn holds(pid: u32) -> bool {
    let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten();
    let mut links = fds.filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    links.any(|link| link.to_string_lossy().contains("memfd:ganger-array")) || maps.contains("memfd:ganger-array")
}

fn keep(array: SharedArray<u8, 1>) -> SharedArray<u8, 1> {
    array
}

fn first_kept(_: u32) -> u8 {
    with_worker_state(|array: &mut SharedArray<u8, 1>| array.get([0]).unwrap())
}

fn shared_memory_is_gone_with_its_last_holder(method: StartMethod) {
    assert_eq!(holders(), BTreeSet::new());
    let array = SharedArray::from_vec([4096], vec![7; 4096]).unwrap();
    let builder = Pool::builder().workers(1).start_method(method).initializer(keep, (array.clone(),));
    let pool = builder.build().unwrap();
    assert_eq!(pool.apply(first_kept, (0,)).unwrap(), 7);
    let worker = pool.worker_pids()[0];
    assert!(holders().contains(&worker) && holders().contains(&std::process::id()));
    // The pool keeps the initializer's arguments for successors.
    signal(worker, Signal::SIGKILL);
    let successor =
        wait_until("a successor", SOON, || pool.worker_pids(), |pids| !pids.is_empty() && pids != &[worker]);
    assert_eq!(pool.apply(first_kept, (0,)).unwrap(), 7);
    assert!(!holders().contains(&worker), "{successor:?}");
    finish(pool);
    array.set([0], 8).unwrap();
    assert_eq!(wait_until("this process has it alone", SOON, holders, |pids| pids.len() == 1).len(), 1);
    drop(array);
    assert_eq!(holders(), BTreeSet::new());
}

/// Makes an array that nobody else has.
fn make_own(_: u8) -> u32 {
    static OWN: OnceLock<(SharedArray<u8, 1>, RowsMut<u8, 1>)> = OnceLock::new();
    let array = SharedArray::zeros([4096]).unwrap();
    let claimed = array.claim().unwrap();
    assert!(OWN.set((array, claimed)).is_ok());
    std::process::id()
}

fn memory_that_only_a_killed_worker_had_is_gone(method: StartMethod) {
    let pool = pool(method, 1);
    let worker = pool.apply(make_own, (0,)).unwrap();
    assert_eq!(holders(), BTreeSet::from([worker]));
    signal(worker, Signal::SIGKILL);
    wait_until("nobody has it", SOON, holders, BTreeSet::is_empty);
    finish(pool);
}

fn failed_and_finished_users_destroy_nothing(method: StartMethod) {
    let array = SharedArray::from_vec([2, 2], [0.5, 1.5, 2.5, 3.5]).unwrap();
    let first = pool(method, 1);
    let error = first.apply(|_: Narrowed| (), (Narrowed(Some(array.clone())),)).unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::NotDeserializable, "{error}");
    let expected = "type f32 was expected, and one of shape [2, 2] and type f64 has come";
    assert!(error.to_string().contains(expected), "{error}");
    let set = |array: SharedArray<f64, 2>| array.set([0, 0], 9.0);
    let _: () = first.apply(set, (array.clone(),)).unwrap();
    finish(first);
    let second = pool(method, 1);
    let read = |array: SharedArray<f64, 2>| array.to_vec();
    let values: Vec<f64> = second.apply(read, (array.clone(),)).unwrap();
    assert_eq!((values, array.get([1, 1]).unwrap()), (vec![9.0, 1.5, 2.5, 3.5], 3.5));
    finish(second);
}

/// Resident shared memory; memory of libraries is no part of it.
fn resident() -> u64 {
    ganger_tests::memory(std::process::id(), "RssShmem")
}

fn what_travels_is_a_descriptor(method: StartMethod) {
    let pool = pool(method, 1);
    let array = SharedArray::from_vec([8 << 20], vec![1.0; 8 << 20]).unwrap();
    let pass_on = |array: SharedArray<f64, 1>| {
        let inode = std::fs::metadata(format!("/proc/self/fd/{}", descriptor_of_arrays())).unwrap().ino();
        (array, resident(), inode)
    };
    let before: u64 = pool.apply(|_: u8| resident(), (0,)).unwrap();
    let (back, during, inode): (SharedArray<f64, 1>, u64, u64) = pool.apply(pass_on, (array.clone(),)).unwrap();
    assert!(during < before + MIB, "{before} bytes before, {during} with the array");
    back.set([0], 2.0).unwrap();
    assert_eq!(array.get([0]).unwrap(), 2.0);
    let own = std::fs::metadata(format!("/proc/self/fd/{}", descriptor_of_arrays())).unwrap().ino();
    assert_eq!(own, inode, "the same memory");
    finish(pool);
}

fn descriptor_of_arrays() -> i32 {
    let all = ganger_tests::descriptors();
    all.into_iter().find(|(_, target)| target.contains("memfd:ganger-array")).unwrap().0
}

fn keep_sealed(table: SealedArray<u64, 1>) -> SealedArray<u64, 1> {
    table
}

/// The sum of the table, and this process's part of the shared memory that it has mapped.
fn sum_kept(_: u32) -> (u64, u64) {
    let sum = with_worker_state(|table: &mut SealedArray<u64, 1>| table.iter().sum());
    Gate::new("all have read").pass();
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = rollup.lines().find(|line| line.starts_with("Pss_Shmem")).unwrap();
    (sum, line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024)
}

fn one_copy_serves_all_workers(method: StartMethod) {
    const WORKERS: usize = 4;
    const LENGTH: usize = 2 << 20;
    const BYTES: u64 = LENGTH as u64 * 8;
    let table = SharedArray::from_fn([LENGTH], |[place]| place as u64).unwrap().seal().unwrap();
    let builder = Pool::builder().workers(WORKERS).start_method(method).initializer(keep_sealed, (table.clone(),));
    let pool = builder.build().unwrap();
    crate::kit::whole_gang(&pool, WORKERS);
    let sums = pool.map_async(sum_kept, 0..WORKERS as u32);
    wait_until(
        "all workers are at the gate",
        SOON,
        || pool.worker_pids().iter().filter(|pid| mapped(**pid) >= BYTES).count(),
        |count| *count == WORKERS,
    );
    Gate::new("all have read").open();
    let mut parts = 0;
    for (sum, part) in sums.get().unwrap() {
        assert_eq!(sum, (LENGTH as u64 - 1) * LENGTH as u64 / 2);
        parts += part;
    }
    // Each counts its part of a page that several have mapped; links' pages are a part of it.
    assert!(parts <= BYTES + 8 * MIB, "{parts} bytes for all workers");
    finish(pool);
}

fn mapped(pid: u32) -> u64 {
    ganger_tests::memory(pid, "RssShmem")
}

fn captured_arrays_work_and_captured_rows_do_not() {
    let array = SharedArray::<u64, 1>::zeros([1024]).unwrap();
    let table = SharedArray::from_vec([2], [5_u64, 6]).unwrap().seal().unwrap();
    let (value, cells) = (Value::new(0_u64).unwrap(), Array::<u64>::zeros(2).unwrap());
    let kept = array.part(1000..1024).unwrap().claim().unwrap();
    let (to_fill, to_add, to_set) = (array.part(0..1000).unwrap(), value.clone(), cells.clone());
    let (pool, task) = Pool::builder()
        .workers(2)
        .fork_with(move |place: usize| {
            if place == 7 {
                return kept[[0]];
            }
            to_fill.part(place..place + 1).unwrap().claim().unwrap().fill(1);
            to_set.set(place % 2, 3).unwrap();
            to_add.fetch_add(table[[place % 2]])
        })
        .unwrap();
    let outcomes = pool.try_map(task, 0..100);
    let error = outcomes[7].clone().unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::Panicked, "{error}");
    assert!(error.to_string().contains("take them where they are used"), "{error}");
    assert!(outcomes.iter().enumerate().all(|(place, outcome)| place == 7 || outcome.is_ok()));
    assert_eq!((value.get(), cells.to_vec()), (50 * 5 + 49 * 6, vec![3, 3]));
    assert_eq!(array.part(0..1000).unwrap().view().unwrap().iter().sum::<u64>(), 99);
    finish(pool);
    // The closure, and with it the claim, is dropped in the workers and here: here it ends.
    assert!(array.claim().is_ok());
}
