//! Prints what a worker has in its environment: `variables METHOD`.

fn variables(_: ()) -> Vec<(String, String)> {
    std::env::vars().collect()
}

fn main() {
    let method = std::env::args().nth(1).and_then(|name| name.parse().ok()).expect("a start method");
    let pool = ganger::Pool::builder().workers(1).start_method(method).build().expect("the pool starts");
    for (name, value) in pool.apply(variables, ((),)).expect("it reads its environment") {
        println!("{name}={value}");
    }
}
