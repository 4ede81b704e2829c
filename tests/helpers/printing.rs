//! Prints half a line, has workers print lines, then prints the other half: `printing METHOD TASKS`.

use std::io::Write;

fn say(number: u32) -> u32 {
    println!("task {number}");
    number
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let method = arguments.next().and_then(|name| name.parse().ok()).expect("a start method");
    let tasks: u32 = arguments.next().and_then(|count| count.parse().ok()).expect("a number of tasks");
    // A writer of our own: the line is buffered while the guardian is forked, and only flushed at the end.
    print!("half");
    let pool = ganger::Pool::builder().workers(2).start_method(method).build().expect("the pool starts");
    let outcomes = pool.try_map(say, 0..tasks);
    let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    pool.close();
    pool.join().expect("it was closed");
    // A closed standard output is the subject of one test: it must not end this program.
    let _ = writeln!(std::io::stdout(), " and half");
    eprintln!("{} ok, {failed} failed", outcomes.len() - failed);
}
