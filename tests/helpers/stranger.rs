//! A program that is not the manager's: `stranger ADDRESS KEY`.

use std::net::SocketAddr;

use ganger::Manager;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, key] = arguments.as_slice() else { panic!("an address and a key, not {arguments:?}") };
    let address: SocketAddr = address.parse().expect("an address");
    let client = Manager::connect(address, key).expect("it is let in");
    let totals = client.named("totals").dict::<String, i64>().expect("it is there");
    println!("{}", totals.add("visits", 1).expect("it is added"));
    let refused = totals.update("visits", |total: &mut i64| *total = 0, ()).expect_err("another program's function");
    println!("{:?}", refused.kind());
}
