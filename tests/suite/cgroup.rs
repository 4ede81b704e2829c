//! Gangs in a control group of their own, where the machine lets us make one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use ganger::{Pool, StartMethod};
use ganger_tests::{Gate, Log, MARK, dump, fresh_mark, marked, own_mark, scratch, wait_until};
use nix::sys::signal::Signal;

use crate::kit::{SOON, finish, helper, own_pid, signal, square};

pub(crate) const CONTRACT: crate::Contract = table![
    gang_lives_in_its_group_and_takes_it_along,
    daemons_die_although_the_guardian_was_killed,
    gangs_of_tasks_have_groups_below,
    killed_supervisor_leaves_no_group,
    pool_that_does_not_start_leaves_no_group,
];

/// Why these cases cannot run here.
pub(crate) fn obstacle() -> Option<&'static str> {
    static FOUND: OnceLock<Option<&str>> = OnceLock::new();
    *FOUND.get_or_init(|| match ganger_os::probe::delegated_cgroup() {
        Ok(_) => None,
        Err(error) => Some(format!("no control group can be made: {error}").leak()),
    })
}

fn grouped(method: StartMethod, workers: usize) -> Pool {
    Pool::builder().workers(workers).start_method(method).cgroup(true).build().unwrap()
}

/// What a process is in.
fn group_of(process: &str) -> String {
    let groups = std::fs::read_to_string(format!("/proc/{process}/cgroup")).unwrap();
    groups.lines().find_map(|line| line.strip_prefix("0::")).unwrap().to_owned()
}

fn own_group(_: u32) -> (u32, String) {
    (own_pid(0), group_of("self"))
}

/// Where the groups of this process number's gangs are.
fn groups_of(pid: u32) -> Vec<PathBuf> {
    let parent = ganger_os::probe::delegated_cgroup().unwrap();
    let groups = std::fs::read_dir(parent).unwrap().map(|group| group.unwrap().path());
    let prefix = format!("ganger-{pid}-");
    groups.filter(|group| group.file_name().unwrap().to_string_lossy().starts_with(&prefix)).collect()
}

fn gang_lives_in_its_group_and_takes_it_along(method: StartMethod) {
    let before = group_of("self");
    let builder = Pool::builder().workers(2).start_method(method).cgroup(true).max_tasks_per_worker(2);
    let pool = builder.build().unwrap();
    let [directory] = groups_of(std::process::id()).try_into().unwrap();
    let name = directory.file_name().unwrap().to_string_lossy().into_owned();
    let guardian = pool.guardian_pid().unwrap().to_string();
    assert!(group_of(&guardian).ends_with(&name));
    for (pid, group) in pool.with_chunksize(1).unwrap().map(own_group, 0..12).unwrap() {
        assert!(group.ends_with(&name), "{pid} is in {group}");
    }
    let containment = pool.containment();
    assert!(containment.holds("cgroup") && containment.to_string().contains(&name), "{containment}");
    assert_eq!(group_of("self"), before, "the supervisor stays where it is");
    pool.close();
    pool.join().unwrap();
    wait_until("the group is gone", SOON, || directory.exists(), |there| !there);
    assert!(!pool.containment().holds("cgroup"));
}

/// Leaves a process in a session of its own, whose parent is gone.
fn daemonize(_: u32) {
    let script = "setsid sh -c 'echo $$ >> \"$0\"; exec sleep 1000' \"$0\" </dev/null >/dev/null 2>&1 &";
    Command::new("sh").args(["-c", script, &scratch("log-daemons")]).status().unwrap();
}

fn daemons() -> BTreeSet<u32> {
    Log::new("daemons").lines().iter().map(|pid| pid.parse().unwrap()).collect()
}

fn daemons_die_although_the_guardian_was_killed(method: StartMethod) {
    let pool = grouped(method, 2);
    let [directory] = groups_of(std::process::id()).try_into().unwrap();
    for round in 1..=2 {
        pool.map(daemonize, 0..2).unwrap();
        let daemons = wait_until("the daemons live", SOON, daemons, |daemons| daemons.len() == 2 * round);
        let guardian = pool.guardian_pid().unwrap();
        signal(guardian, Signal::SIGKILL);
        let living = || marked(&own_mark()).into_iter().filter(|pid| daemons.contains(pid)).collect::<Vec<_>>();
        wait_until("the daemons are dead", SOON, living, Vec::is_empty);
        if method == StartMethod::Fork {
            break;
        }
        wait_until("there is another", SOON, || pool.guardian_pid(), |now| now.is_some_and(|now| now != guardian));
        assert_eq!(pool.map(square, 0..10).unwrap().len(), 10);
    }
    finish(pool);
    assert!(!directory.exists());
}

/// A gang within a gang, which is killed with it.
fn nest(gate: String) {
    let pool = grouped(StartMethod::Forkserver, 1);
    let (_, group) = pool.apply(own_group, (0,)).unwrap();
    Log::new("nested").add(group);
    Gate::new(&gate).pass();
}

fn gangs_of_tasks_have_groups_below(method: StartMethod) {
    let pool = grouped(method, 1);
    let [directory] = groups_of(std::process::id()).try_into().unwrap();
    let running = pool.apply_async(nest, ("never".to_owned(),));
    let nested = wait_until("it is nested", SOON, || Log::new("nested").lines(), |lines| lines.len() == 1);
    let name = directory.file_name().unwrap().to_string_lossy().into_owned();
    assert!(nested[0].contains(&format!("/{name}/ganger-")), "{nested:?}");
    pool.terminate();
    pool.join().unwrap();
    running.get_timeout(SOON).unwrap().unwrap_err();
    assert!(!directory.exists());
}

fn killed_supervisor_leaves_no_group(method: StartMethod) {
    let mark = fresh_mark();
    let mut command = helper("supervised");
    command.args([method.as_str(), "grouped-daemons"]).env(MARK, &mark).stdout(Stdio::null());
    let mut victim = command.spawn().unwrap();
    wait_until("the daemons live", SOON, daemons, |daemons| daemons.len() == 2);
    let groups = groups_of(victim.id());
    assert_eq!(groups.len(), 1);
    victim.kill().unwrap();
    victim.wait().unwrap();
    let left = || marked(&mark).into_iter().map(dump).collect::<Vec<_>>();
    wait_until("no process is left", SOON, left, Vec::is_empty);
    assert!(!Path::new(&groups[0]).exists());
}

fn fail() -> u32 {
    panic!("it cannot begin")
}

fn pool_that_does_not_start_leaves_no_group(method: StartMethod) {
    let builder = || Pool::builder().workers(1).start_method(method).cgroup(true);
    builder().initializer(fail, ()).build().unwrap_err();
    builder().rlimit(ganger::Rlimit::Nofile, 4).build().unwrap_err();
    assert_eq!(groups_of(std::process::id()), Vec::<PathBuf>::new());
}
