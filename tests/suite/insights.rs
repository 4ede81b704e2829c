//! Where the time goes.

use std::time::{Duration, Instant};

use ganger::{Pool, StartMethod, TaskSpan};
use ganger_tests::wait_until;

use crate::kit::{SOON, finish, pool, square};

pub(crate) const CONTRACT: crate::Contract = table![
    times_of_workers_are_counted,
    slowest_tasks_are_told_with_their_arguments,
    task_that_killed_its_worker_is_among_the_slowest,
    insights_outlive_recycled_workers_and_the_pool,
    timeline_has_every_task_of_every_worker,
    timeline_stays_as_small_as_was_asked_for,
];

fn nap(millis: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(millis));
    millis
}

fn times_of_workers_are_counted(method: StartMethod) {
    let millis = Duration::from_millis;
    let builder = Pool::builder().workers(2).start_method(method).initializer(nap, (20,)).on_worker_exit(nap, (30,));
    let pool = builder.build().unwrap();
    wait_until("all are ready", SOON, || pool.insights().total().processes(), |ready| *ready == 2);
    pool.map(nap, vec![10; 8]).unwrap();
    pool.close();
    pool.join().unwrap();
    let insights = pool.insights();
    assert_eq!(insights.workers().len(), 2);
    let total = insights.total();
    assert_eq!((total.processes(), total.tasks()), (2, 8));
    // A busy machine can only make more of each.
    assert!(total.init() >= millis(40) && total.work() >= millis(80) && total.exit() >= millis(60), "{insights}");
    assert!(total.start_up() > Duration::ZERO && total.mean_work() >= Some(millis(10)), "{insights}");
    assert!(total.working_share() > 0.0 && total.working_share() < 1.0, "{insights}");
    assert_eq!(insights.to_string().lines().count(), 1 + 2 + 1 + 8);
}

fn slowest_tasks_are_told_with_their_arguments(method: StartMethod) {
    let pool = pool(method, 2);
    pool.map(square, 0..20_000).unwrap();
    let sleepy = |x: u64, text: String| nap(if x % 1000 == 500 { 300 + x / 1000 } else { 0 }) + text.len() as u64;
    pool.starmap(sleepy, (0..3000).map(|x| (x, format!("item {x}")))).unwrap();
    pool.apply(|bytes: Vec<u8>| nap(600 + bytes.len() as u64 % 2), (vec![0; 10_000],)).unwrap();
    let insights = pool.insights();
    assert_eq!(insights.total().tasks(), 23_001);
    let slowest = insights.slowest();
    assert_eq!(slowest.len(), 10);
    assert!(slowest.is_sorted_by_key(|task| std::cmp::Reverse(task.duration())));
    let mut found: Vec<(u64, String)> = slowest.iter().filter_map(ganger::SlowTask::arguments).collect();
    found.retain(|(x, _)| x % 1000 == 500);
    found.sort_unstable();
    let expected = [500, 1500, 2500].map(|x| (x, format!("item {x}")));
    assert_eq!(found, expected, "{insights}");
    let large = slowest.iter().find(|task| task.duration() >= Duration::from_millis(600)).unwrap();
    assert_eq!((large.index(), large.arguments::<(Vec<u8>,)>()), (0, None), "too long to be kept");
    finish(pool);
}

fn task_that_killed_its_worker_is_among_the_slowest(method: StartMethod) {
    let pool = pool(method, 1);
    let die = |x: i64| -> i64 {
        nap(50);
        std::process::exit(x as i32)
    };
    pool.apply(die, (3,)).unwrap_err();
    let insights = pool.insights();
    let slowest = &insights.slowest()[0];
    assert_eq!(slowest.arguments(), Some((3_i64,)), "{insights}");
    assert!(slowest.task().contains("task_that_killed") && slowest.duration() >= Duration::from_millis(50));
    assert!(insights.total().work() >= Duration::from_millis(50));
    finish(pool);
}

fn insights_outlive_recycled_workers_and_the_pool(method: StartMethod) {
    let pool = Pool::builder().workers(2).start_method(method).max_tasks_per_worker(5).build().unwrap();
    pool.map(square, 0..100).unwrap();
    let other = pool.clone();
    finish(pool);
    let total = other.insights().total();
    assert_eq!(total.tasks(), 100);
    assert!(total.processes() >= 20, "{}", total.processes());
}

fn timeline_has_every_task_of_every_worker(method: StartMethod) {
    let pool = pool(method, 2);
    pool.map(square, 0..1_000).unwrap();
    assert!(pool.timeline().spans().is_empty(), "nobody has asked for it");
    let before = Instant::now();
    pool.record_timeline(10_000);
    pool.map(nap, vec![5; 20]).unwrap();
    let die = |x: i64| -> i64 {
        nap(20);
        std::process::exit(x as i32)
    };
    pool.apply(die, (3,)).unwrap_err();
    let (timeline, after) = (pool.timeline(), Instant::now());
    let spans = timeline.spans();
    assert_eq!((spans.iter().map(TaskSpan::tasks).sum::<u64>(), timeline.missed()), (21, 0), "{spans:?}");
    assert!(spans.iter().all(|span| before <= span.start() && span.start() <= span.end() && span.end() <= after));
    for worker in 0..2 {
        let lane: Vec<&TaskSpan> = spans.iter().filter(|span| span.worker() == worker).collect();
        assert!(lane.windows(2).all(|pair| pair[0].end() <= pair[1].start()), "{lane:?}");
    }
    let naps = spans.iter().filter(|span| span.task().ends_with("::nap"));
    assert!(naps.clone().all(|span| span.work() >= Duration::from_millis(5)), "{spans:?}");
    let mut indices: Vec<u64> = naps.map(TaskSpan::index).collect();
    indices.sort_unstable();
    assert!(indices.iter().copied().eq(0..20), "{indices:?}");
    let last = spans.iter().find(|span| span.task().contains("timeline_has")).unwrap();
    assert!(last.work() >= Duration::from_millis(20), "it has ended with its worker: {last:?}");
    finish(pool);
}

fn timeline_stays_as_small_as_was_asked_for(method: StartMethod) {
    let pool = pool(method, 2);
    pool.record_timeline(50);
    pool.map(square, 0..50_000).unwrap();
    pool.map(nap, vec![1; 200]).unwrap();
    let timeline = pool.timeline();
    let spans = timeline.spans();
    assert!(spans.len() <= 50, "{}", spans.len());
    assert_eq!((spans.iter().map(TaskSpan::tasks).sum::<u64>(), timeline.missed()), (50_200, 0));
    // A new recording begins with nothing.
    pool.record_timeline(50);
    assert!(pool.timeline().spans().is_empty());
    finish(pool);
}
