//! How the faults ended for others: measured before, on Linux 6.18 with 2 processors, not now.

/// The engines, with the versions that were measured under CPython 3.13.0.
pub(crate) const ENGINES: [(&str, &str); 5] = [
    ("mp.Pool", "multiprocessing.Pool of CPython 3.13.0, start methods fork, spawn, forkserver"),
    ("c.futures", "concurrent.futures.ProcessPoolExecutor of CPython 3.13.0"),
    ("loky", "loky 3.7.0"),
    ("Pebble", "Pebble 5.2.3"),
    ("billiard", "billiard 4.3.2"),
];

/// The row of that name: values/errors, seconds where it took more than one, and how many processes were left. `HANG`: not finished after 9 s.
pub(crate) fn row(name: &str) -> [&'static str; 5] {
    match name {
        "sigkill" => ["HANG", "6/14", "6/14", "19/1", "19/1 14.5s"],
        "sigsegv" => ["HANG", "6/14", "6/14", "19/1", "HANG"],
        "_exit-0" => ["HANG", "6/14", "6/14", "HANG", "19/1 14.4s"],
        "exit" => ["HANG", "19/1", "19/1", "19/1", "HANG"],
        "garbage" => ["HANG", "HANG", "6/14", "HANG", "HANG, 2 left"],
        "closes-fds" => ["HANG", "7/13", "6/14", "19/1", "HANG"],
        "grandchild" => {
            ["HANG, 2-4 left", "19/1 26.7s, 3 left", "19/1 29.6s, 5 left", "19/1, 2 left", "19/1 14.6s, 2 left"]
        }
        "not-serializable" => ["19/1", "19/1", "20/0", "19/1", "19/1"],
        "not-decodable" => ["HANG", "6/14", "6/14", "HANG", "HANG"],
        "error-not-decodable" => ["HANG", "7/13", "6/14", "6/14", "HANG"],
        "stopped" | "sleeps" => ["HANG"; 5],
        "initializer-fails" => ["HANG", "0/20", "0/20", "0/20", "HANG"],
        "initializer-exits" => ["HANG", "0/20", "0/20", "HANG", "HANG"],
        "callback-panics" => ["HANG", "20/0", "20/0", "20/0", "20/0"],
        "parent-killed" => ["2-4 left", "2 left", "4 left", "2 left", "2 left"],
        _ => ["?"; 5],
    }
}
