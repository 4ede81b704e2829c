//! The database, and the tasks over its rows. All but [`prepare`] runs in the workers.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ganger::with_worker_state;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use serde::{Deserialize, Serialize};

/// So many accounts a new database has.
const ACCOUNTS: i64 = 100;

/// So long a connection waits for another that writes.
const PATIENCE: Duration = Duration::from_secs(30);

/// What an account has sold. Cents are whole numbers, so that totals are exact.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Total {
    account: i64,
    sales: u32,
    cents: i64,
}

/// Makes the table `sale` in a file of SQLite, with so many rows, if it is not there. Returns how many rows it has.
///
/// The connection is closed when this returns.
pub(crate) fn prepare(file: &Path, rows: u32) -> rusqlite::Result<i64> {
    let mut connection = Connection::open(file)?;
    connection.busy_timeout(PATIENCE)?;
    if !is_filled(&connection)? {
        fill(&mut connection, rows)?;
    }
    // Of a table that was there before, this also says whether it has the columns.
    connection.query_row("SELECT count(*) FROM (SELECT account, cents FROM sale)", [], |row| row.get(0))
}

/// All or nothing: of a program that is killed meanwhile no half of a table is left.
fn fill(connection: &mut Connection, rows: u32) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if is_filled(&transaction)? {
        // Another program has just made it: this one has waited for it.
        return Ok(());
    }
    transaction.execute_batch("CREATE TABLE sale (account INTEGER NOT NULL, cents INTEGER NOT NULL)")?;
    let mut insert = transaction.prepare("INSERT INTO sale (account, cents) VALUES (?1, ?2)")?;
    let mut random = numbers();
    for _ in 0..rows {
        insert.execute((1 + random() % ACCOUNTS, 1 + random() % 100_000))?;
    }
    drop(insert);
    transaction.execute_batch("CREATE INDEX sale_account ON sale (account)")?;
    transaction.commit()
}

/// Whether the table is there. (`table_exists` would believe what the connection has read of the file before.)
fn is_filled(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT EXISTS (SELECT * FROM sqlite_schema WHERE name = 'sale')", [], |row| row.get(0))
}

/// The same numbers in every run: Knuth's generator MMIX, of which the upper bits are good.
fn numbers() -> impl FnMut() -> i64 {
    let mut state: u64 = 4711;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33).cast_signed()
    }
}

/// Opens a worker's own connection, which is its state from now on: the initializer of the pool.
pub(crate) fn open(file: PathBuf) -> rusqlite::Result<Connection> {
    // Without a mutex: a worker has one thread.
    let connection =
        Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(PATIENCE)?;
    Ok(connection)
}

/// Adds up the sales of an account, row by row; `None` if it has none. (SQL can add as well. It stands for what only a program can.)
pub(crate) fn total(account: i64) -> Result<Option<Total>, Box<dyn Error>> {
    with_worker_state(|connection: &mut Connection| {
        let mut statement = connection.prepare("SELECT cents FROM sale WHERE account = ?1")?;
        let mut total = Total { account, sales: 0, cents: 0 };
        for cents in statement.query_map([account], |row| row.get::<_, i64>(0))? {
            total.cents = total.cents.checked_add(cents?).ok_or(format!("the total of account {account} overflows"))?;
            total.sales += 1;
        }
        Ok((total.sales > 0).then_some(total))
    })
}

/// As [`total`], but takes its time.
pub(crate) fn slow_total(account: i64, pause_ms: u64) -> Result<Option<Total>, Box<dyn Error>> {
    std::thread::sleep(Duration::from_millis(pause_ms));
    total(account)
}

/// All accounts that have sold anything.
pub(crate) fn accounts() -> rusqlite::Result<Vec<i64>> {
    with_worker_state(|connection: &mut Connection| {
        let mut statement = connection.prepare("SELECT DISTINCT account FROM sale ORDER BY account")?;
        statement.query_map([], |row| row.get(0))?.collect()
    })
}

/// Takes its worker down with it, as a bug in a library written in C would.
pub(crate) fn crash() {
    std::process::abort()
}
