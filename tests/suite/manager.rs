//! Managers: what many processes do with objects in another one, and who dies meanwhile.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use ganger::manager::{Address, Client, Counter, Dict, Event, List, Lock, Managed, Queue};
use ganger::{AsyncResult, Error, ErrorKind, IMapUnordered, Manager, Pool, Process, StartMethod, partial};
use ganger_tests::{Gate, Log, scratch, signal, wait_until, within};
use nix::sys::signal::Signal;

use crate::kit::{SOON, finish, helper, pool, whole_gang};

pub(crate) const CONTRACT: crate::Contract = table![
    manager_sums_many_lists,
    manager_adds_exactly,
    manager_keeps_what_the_killed_have_added,
    manager_releases_locks_of_the_killed,
    manager_serves_queues_and_events,
    manager_proxies_travel_everywhere,
    manager_hosts_own_types,
    manager_that_was_killed_is_an_error,
    manager_ends_with_its_handle,
    manager_that_is_stopped_ends_too,
    manager_lets_nobody_in_without_the_key,
    manager_runs_no_functions_of_other_programs,
];

pub(crate) const ONCE: crate::Once = table![forked_copy_of_the_owner_uses_the_manager];

fn manager(method: StartMethod) -> Manager {
    Manager::builder().start_method(method).start().unwrap()
}

fn gang(method: StartMethod) -> Pool {
    pool(method, 4)
}

#[track_caller]
fn kind<T: std::fmt::Debug>(result: Result<T, Error>) -> ErrorKind {
    result.unwrap_err().kind()
}

/// The tutorial's sum, as its readers meant it: each integer of each list added on its own, under the key of its list. The
/// lists have zeros in them, and two have the same length.
fn manager_sums_many_lists(method: StartMethod) {
    fn add(totals: Dict<String, i64>, (key, number): (String, i64)) -> Result<(), Error> {
        totals.add(&key, number).map(drop)
    }
    fn add_all(totals: Dict<String, i64>, (key, numbers): (String, Vec<i64>)) -> Result<(), Error> {
        totals.add_many(numbers.into_iter().map(|number| (key.clone(), number)))
    }
    let manager = manager(method);
    let pool = gang(method);
    let lists: BTreeMap<String, Vec<i64>> = [("a", 5), ("b", 50), ("c", 500), ("d", 500)]
        .map(|(key, length)| (key.to_owned(), (0..length).collect()))
        .into();
    let one_by_one: Dict<String, i64> = manager.dict().unwrap();
    let numbers = lists.iter().flat_map(|(key, list)| list.iter().map(move |number| (key.clone(), *number)));
    let added: IMapUnordered<()> =
        pool.imap_unordered(partial(add, (one_by_one.clone(),)), numbers.collect::<Vec<_>>());
    assert!(added.into_iter().all(|added| added.is_ok()));
    let many: Dict<String, i64> = manager.dict().unwrap();
    let _: Vec<()> = pool.map(partial(add_all, (many.clone(),)), lists.clone()).unwrap();
    let sums: BTreeMap<String, i64> = lists.into_iter().map(|(key, list)| (key, list.iter().sum())).collect();
    for totals in [one_by_one, many] {
        assert_eq!(totals.items().unwrap().into_iter().collect::<BTreeMap<_, _>>(), sums);
    }
    finish(pool);
}

const ROUNDS: u32 = 250;

fn manager_adds_exactly(method: StartMethod) {
    fn count((totals, counter, list): (Dict<String, u64>, Counter, List<u64>), worker: u32) -> Result<(), Error> {
        for _ in 0..ROUNDS {
            totals.add("added", 1)?;
            totals.update_or_insert("updated", &0, |total: &mut u64, by: u64| *total += by, (1,))?;
            while {
                let now = totals.get("swapped")?;
                !totals.compare_and_swap("swapped", now.as_ref(), Some(&(now.unwrap_or(0) + 1)))?
            } {}
            counter.add(1)?;
            list.add(0, 1)?;
        }
        totals.entry("first").or_insert(&u64::from(worker)).map(drop)
    }
    let manager = manager(method);
    let (totals, counter, list) = (manager.dict().unwrap(), manager.counter().unwrap(), manager.list().unwrap());
    list.push(&0).unwrap();
    let pool = gang(method);
    let _: Vec<()> = pool.map(partial(count, ((totals.clone(), counter.clone(), list.clone()),)), 0..4).unwrap();
    let expected = u64::from(4 * ROUNDS);
    assert_eq!(["added", "updated", "swapped"].map(|key| totals.get(key).unwrap()), [Some(expected); 3]);
    assert_eq!((counter.get().unwrap(), list.get(0).unwrap()), (expected.cast_signed(), Some(expected)));
    assert!(totals.get("first").unwrap().unwrap() < 4);
    finish(pool);
}

/// What was acknowledged is there; of each killed process at most one addition more, whose answer it did not live to see.
fn manager_keeps_what_the_killed_have_added(method: StartMethod) {
    fn add_until_killed((totals, done): (Dict<u32, u64>, ganger::Value<u64>), stop: Event) -> Result<(), Error> {
        while !stop.is_set()? {
            totals.add(&0, 1)?;
            done.fetch_add(1);
        }
        Ok(())
    }
    let manager = manager(method);
    let totals: Dict<u32, u64> = manager.dict().unwrap();
    let (stop, done) = (manager.event().unwrap(), ganger::Value::new(0_u64).unwrap());
    let processes: Vec<Process<()>> = (0..5)
        .map(|_| {
            let arguments = ((totals.clone(), done.clone()), stop.clone());
            let mut process = Process::builder().start_method(method).build(add_until_killed, arguments);
            process.start().unwrap();
            process
        })
        .collect();
    let (killed, kept) = processes.split_at(3);
    for process in killed {
        let so_far = done.get();
        wait_until("they add", SOON, || done.get(), |now| *now > so_far + 20);
        process.kill().unwrap();
        process.join().unwrap();
    }
    let so_far = done.get();
    wait_until("the others go on", SOON, || done.get(), |now| *now > so_far + 20);
    stop.set().unwrap();
    kept.iter().for_each(|process| process.result().unwrap());
    let (acknowledged, there) = (done.get(), totals.get(&0).unwrap().unwrap());
    assert!((acknowledged..=acknowledged + 3).contains(&there), "{acknowledged} acknowledged, {there} there");
}

fn manager_releases_locks_of_the_killed(method: StartMethod) {
    fn hold(lock: Lock, held: Event) -> Result<(), Error> {
        let guard = lock.lock()?;
        held.set()?;
        Gate::new("never").pass();
        drop(guard);
        Ok(())
    }
    let manager = manager(method);
    let (lock, held) = (manager.lock().unwrap(), manager.event().unwrap());
    let mut holder: Process<()> = Process::builder().start_method(method).build(hold, (lock.clone(), held.clone()));
    holder.start().unwrap();
    assert!(held.wait_timeout(SOON).unwrap());
    assert!(lock.try_lock().unwrap().is_none());
    assert_eq!(kind(lock.lock_timeout(Duration::from_millis(10))), ErrorKind::TimedOut);
    holder.kill().unwrap();
    let guard = lock.lock_timeout(SOON).unwrap();
    assert!(guard.abandoned());
    drop(guard);
    assert!(!lock.lock_timeout(SOON).unwrap().abandoned());
    holder.join().unwrap();
}

fn manager_serves_queues_and_events(method: StartMethod) {
    fn work((jobs, results, go): (Queue<u32>, Queue<u32>, Event), count: u32) -> Result<(), Error> {
        go.wait()?;
        (0..count).try_for_each(|_| results.put(&(jobs.get()? * 2)))
    }
    let manager = manager(method);
    // Small, so that both sides have to wait.
    let (jobs, results, go) = (manager.queue(3).unwrap(), manager.queue(3).unwrap(), manager.event().unwrap());
    let pool = gang(method);
    let working: AsyncResult<Vec<()>> =
        pool.map_async(partial(work, ((jobs.clone(), results.clone(), go.clone()),)), [30, 30, 30]);
    go.set().unwrap();
    let mut got = Vec::new();
    for job in 0..90 {
        jobs.put_timeout(&job, SOON).unwrap();
        while let Ok(result) = results.try_get() {
            got.push(result);
        }
    }
    while got.len() < 90 {
        got.push(results.get_timeout(SOON).unwrap());
    }
    working.get().unwrap();
    got.sort_unstable();
    assert_eq!(got, (0..90).map(|job| job * 2).collect::<Vec<_>>());
    finish(pool);
}

/// As arguments, as results, as values in their own manager; made by workers, and found by name.
fn manager_proxies_travel_everywhere(method: StartMethod) {
    fn make(client: Client, name: String) -> Result<List<u32>, Error> {
        let list = client.named(&name).list()?;
        list.push(&1)?;
        Ok(list)
    }
    let manager = manager(method);
    let pool = gang(method);
    let made: Vec<List<u32>> =
        pool.map(partial(make, (manager.client(),)), ["a", "a", "b"].map(str::to_owned)).unwrap();
    assert_eq!(made.iter().map(|list| list.len().unwrap()).collect::<Vec<_>>(), [2, 2, 1]);
    let by_name: Dict<String, List<u32>> = manager.dict().unwrap();
    by_name.insert("b", &made[2]).unwrap();
    let push = |by_name: Dict<String, List<u32>>| -> Result<(), Error> { by_name.get("b")?.unwrap().push(&2) };
    let () = pool.apply(push, (by_name,)).unwrap();
    assert_eq!(manager.named("b").list::<u32>().unwrap().slice(..).unwrap(), [1, 2]);
    finish(pool);
}

struct Account {
    balance: i64,
    history: Vec<String>,
}

#[ganger::managed]
impl Account {
    fn open(balance: i64) -> Result<Self, String> {
        if balance < 0 { Err(format!("{balance} is no balance")) } else { Ok(Self { balance, history: Vec::new() }) }
    }

    /// Adds to the balance.
    fn deposit(&mut self, amount: i64, from: String) -> i64 {
        self.history.push(from);
        self.balance += amount;
        self.balance
    }

    fn withdraw(&mut self, amount: i64) -> Result<i64, String> {
        if amount > self.balance {
            return Err(format!("there are only {}", self.balance));
        }
        Ok(self.deposit(-amount, "withdrawn".to_owned()))
    }

    fn history(&self) -> usize {
        self.history.len()
    }

    fn lose(&mut self) {
        panic!("all is lost");
    }
}

fn manager_hosts_own_types(method: StartMethod) {
    fn deposit(account: Managed<Account>, amount: i64) -> Result<i64, Error> {
        account.deposit(amount, "a worker".to_owned())
    }
    let manager = manager(method);
    let account: Managed<Account> = manager.object(Account::open, (10,)).unwrap();
    let refused = manager.object::<_, _, Account>(Account::open, (-1,)).unwrap_err();
    assert_eq!((refused.kind(), refused.to_string().as_str()), (ErrorKind::Remote, "-1 is no balance"));
    let pool = gang(method);
    let _: Vec<i64> = pool.map(partial(deposit, (account.clone(),)), vec![1; 100]).unwrap();
    assert_eq!((account.withdraw(100).unwrap(), account.history().unwrap()), (10, 101));
    let refused = account.withdraw(11).unwrap_err();
    assert_eq!((refused.kind(), refused.to_string().as_str()), (ErrorKind::Remote, "there are only 10"));
    let lost = account.lose().unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Remote);
    assert!(lost.to_string().contains("all is lost"), "{lost}");
    assert_eq!(account.history().unwrap(), 101, "it is still there");
    finish(pool);
}

/// Whoever waits for it, and whoever asks it afterwards, is told.
fn manager_that_was_killed_is_an_error(method: StartMethod) {
    fn wait_for_ever(queue: Queue<u32>, waiting: String) -> String {
        Log::new(&waiting).add("one");
        format!("{:?}", kind(queue.get()))
    }
    let manager = manager(method);
    let (queue, counter) = (manager.queue::<u32>(1).unwrap(), manager.counter().unwrap());
    let pool = gang(method);
    let waiting = pool.apply_async(wait_for_ever, (queue.clone(), "waiting".to_owned()));
    Log::new("waiting").wait_for(1);
    counter.add(1).unwrap();
    signal(manager.pid(), Signal::SIGKILL);
    assert_eq!(waiting.get().unwrap(), "Disconnected");
    for _ in 0..3 {
        assert_eq!(kind(counter.get()), ErrorKind::Disconnected);
    }
    assert_eq!(kind(manager.dict::<u8, u8>()), ErrorKind::Disconnected);
    let elsewhere = pool.apply(|counter: Counter| format!("{:?}", kind(counter.get())), (counter,)).unwrap();
    assert_eq!(elsewhere, "Disconnected");
    wait_until("it is dead", SOON, || manager.is_alive().unwrap(), |alive| !alive);
    within("ending what is dead", SOON, || drop(manager));
    finish(pool);
}

fn manager_ends_with_its_handle(method: StartMethod) {
    let manager = manager(method);
    let pool = gang(method);
    whole_gang(&pool, 4);
    let counter = manager.counter().unwrap();
    let add = |counter: Counter, _: u32| counter.add(1).map_err(|error| format!("{:?}", error.kind()));
    let _: Vec<i64> = pool.map(partial(add, (counter.clone(),)), 0..20).unwrap();
    let pid = manager.pid();
    within("the end", SOON, || manager.shutdown());
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert_eq!(kind(counter.get()), ErrorKind::Disconnected);
    let error = pool.apply(partial(add, (counter,)), (0,)).map(|_: i64| ()).unwrap_err();
    assert!(error.to_string().contains("Disconnected"), "{error}");
    finish(pool);
}

/// It cannot leave by itself then.
fn manager_that_is_stopped_ends_too(method: StartMethod) {
    let manager = manager(method);
    let counter = manager.counter().unwrap();
    signal(manager.pid(), Signal::SIGSTOP);
    let pid = manager.pid();
    within("the end of a stopped manager", SOON, || drop(manager));
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert_eq!(kind(counter.get()), ErrorKind::Disconnected);
}

/// Case 63: a wrong key is refused by both sides, and a peer that leaves, stalls or floods in the middle of the proof
/// neither ends the server nor keeps others out.
fn manager_lets_nobody_in_without_the_key(method: StartMethod) {
    let path = scratch("socket");
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    for address in [Address::from(Path::new(&path)), Address::from(any)] {
        let listening = Manager::builder().start_method(method).listen(address).authkey("the key").start().unwrap();
        let address = listening.address().unwrap().clone();
        let total = listening.named("total").counter().unwrap();
        let stalled: Vec<_> = (0..100).map(|round| disturb(&address, round)).collect();
        // On a thread, as its connections end with it.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                assert_eq!(kind(Manager::connect(address.clone(), "another key")), ErrorKind::Authentication);
                let client = Manager::connect(address.clone(), "the key").unwrap();
                assert_eq!(client.named("total").counter().unwrap().add(1).unwrap(), 1);
                let pool = gang(StartMethod::Forkserver);
                let counted = pool.apply(|client: Client| client.named("total").counter()?.add(1), (client,));
                let counted: i64 = counted.unwrap();
                assert_eq!(counted, 2);
                finish(pool);
            });
        });
        assert_eq!(total.get().unwrap(), 2);
        drop(stalled);
        drop(listening);
        assert!(matches!(kind(Manager::connect(address, "the key")), ErrorKind::Disconnected));
    }
    assert!(!Path::new(&path).exists());
    for (builder, expected) in [
        (Manager::builder().listen(any), "needs a key"),
        (Manager::builder().listen(any).authkey(""), "an empty key"),
        (Manager::builder().authkey("key"), "listens nowhere"),
        (Manager::builder().message_limit(1), "a message limit of 1 bytes"),
    ] {
        let error = builder.start_method(method).start().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidSetting);
        assert!(error.to_string().contains(expected), "{error}");
    }
}

/// A peer that does not prove anything; what it keeps open.
fn disturb(address: &Address, round: usize) -> Option<Box<dyn Read>> {
    fn act<S: Read + Write + 'static>(mut stream: S, round: usize) -> Option<Box<dyn Read>> {
        match round % 4 {
            0 => return Some(Box::new(stream)),
            // Those that the server has closed by now have nothing to say.
            1 => drop(stream.write_all(&[7; 50])),
            2 => drop(stream.write_all(&[7; 10_000])),
            _ => {}
        }
        None
    }
    match address {
        Address::Unix(path) => act(UnixStream::connect(path).unwrap(), round),
        Address::Tcp(address) => act(TcpStream::connect(address).unwrap(), round),
        other => panic!("{other}"),
    }
}

/// Offsets mean nothing in another executable; everything else works there.
fn manager_runs_no_functions_of_other_programs(method: StartMethod) {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let manager = Manager::builder().start_method(method).listen(any).authkey("the key").start().unwrap();
    let totals = manager.named("totals").dict::<String, i64>().unwrap();
    totals.insert("visits", &41).unwrap();
    let address = manager.address().unwrap().to_string();
    let output = helper("stranger").args([&address, "the key"]).stderr(Stdio::inherit()).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "42\nMismatch\n");
    assert_eq!(totals.get("visits").unwrap(), Some(42));
}

/// The copy has the owner's proxies, and a connection of its own; with its end the manager does not end.
fn forked_copy_of_the_owner_uses_the_manager() {
    let manager = manager(StartMethod::Forkserver);
    let (counter, lock) = (manager.counter().unwrap(), manager.lock().unwrap());
    counter.add(1).unwrap();
    let guard = lock.lock().unwrap();
    let theirs = (counter.clone(), lock.clone());
    let copy = Process::fork(move || -> Result<i64, Error> {
        let (counter, lock) = theirs;
        // On the owner's connection it would be the owner's lock.
        assert!(lock.try_lock()?.is_none());
        counter.add(1)
    });
    let copied: i64 = copy.unwrap().result().unwrap();
    assert_eq!((copied, counter.add(1).unwrap()), (2, 3));
    guard.release().unwrap();
    assert!(manager.is_alive().unwrap());
}
