//! The library's examples, as modules: nothing is repeated here, so nothing can differ.

/// Declares examples as modules, of which only parts are used here: not their `main`, for instance.
macro_rules! examples {
    ($($name:ident = $path:literal)+) => {
        $(
            #[allow(dead_code, unreachable_pub, missing_docs, reason = "it is a program of its own")]
            #[path = $path]
            pub(crate) mod $name;
        )+
    };
}

examples! {
    transactions = "../../lib/examples/transactions.rs"
    count_in_range = "../../lib/examples/count_in_range.rs"
    cubes = "../../lib/examples/cubes.rs"
    frame = "../../lib/examples/frame.rs"
    squares = "../../lib/examples/squares.rs"
    find_files = "../../lib/examples/find_files.rs"
    processes_and_a_queue = "../../lib/examples/processes_and_a_queue.rs"
    sums = "../../lib/examples/sums.rs"
    many_lists = "../../lib/examples/many_lists.rs"
    images = "../../lib/examples/images.rs"
    read_files = "../../lib/examples/read_files.rs"
    fill_array = "../../lib/examples/fill_array.rs"
}
