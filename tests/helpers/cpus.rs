//! Prints how many processors ganger finds.

fn main() {
    println!("{}", ganger::cpu_count());
}
