//! The library's examples, whose functions are measured as they are: so what is measured is what a newcomer copies.
#![expect(dead_code, unreachable_pub, reason = "each has a `main` of its own, and more than is measured here")]

#[path = "../../../../crates/lib/examples/count_in_range.rs"]
pub(super) mod count_in_range;
#[path = "../../../../crates/lib/examples/fill_array.rs"]
pub(super) mod fill_array;
#[path = "../../../../crates/lib/examples/find_files.rs"]
pub(super) mod find_files;
#[path = "../../../../crates/lib/examples/frame.rs"]
pub(super) mod frame;
#[path = "../../../../crates/lib/examples/images.rs"]
pub(super) mod images;
#[path = "../../../../crates/lib/examples/many_lists.rs"]
pub(super) mod many_lists;
#[path = "../../../../crates/lib/examples/read_files.rs"]
pub(super) mod read_files;
#[path = "../../../../crates/lib/examples/squares.rs"]
pub(super) mod squares;
#[path = "../../../../crates/lib/examples/sums.rs"]
pub(super) mod sums;
#[path = "../../../../crates/lib/examples/transactions.rs"]
pub(super) mod transactions;
