//! Prints half a line, has workers print lines, then prints the other half: `printing METHOD TASKS`. With `captured`, their
//! lines are captured, and printed in two pieces each.

use std::io::Write;

fn say(number: u32) -> u32 {
    println!("task {number}");
    number
}

fn say_in_pieces(number: u32) -> u32 {
    println!("<out {number}");
    eprintln!("<err {number}");
    std::thread::yield_now();
    println!("out {number}>");
    eprintln!("err {number}>");
    number
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let method = arguments.next().and_then(|name| name.parse().ok()).expect("a start method");
    let tasks: u32 = arguments.next().and_then(|count| count.parse().ok()).expect("a number of tasks");
    let captured = arguments.next().is_some_and(|word| word == "captured");
    // A writer of our own: the line is buffered while the guardian is forked, and only flushed at the end.
    print!("half");
    let mut builder = ganger::Pool::builder().workers(2).start_method(method);
    if captured {
        builder = builder.capture_output(1000);
    }
    let pool = builder.build().expect("the pool starts");
    let outcomes = if captured { pool.try_map(say_in_pieces, 0..tasks) } else { pool.try_map(say, 0..tasks) };
    let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    pool.close();
    pool.join().expect("it was closed");
    // A closed standard output is the subject of one test: it must not end this program.
    let _ = writeln!(std::io::stdout(), " and half");
    eprintln!("{} ok, {failed} failed", outcomes.len() - failed);
}
