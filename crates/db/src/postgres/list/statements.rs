//! The statements by which rows of a work list change hands.
//!
//! In all of them `$1` is the holder. None waits for a row that somebody else has locked while it holds locks of its own that
//! others of these might wait for: claiming and beating skip what is locked, and what is settled is held by nobody else.

use super::super::schema::{Column, Schema};
use super::schema::List;
use crate::value::quoted;

/// Says which rows are claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// All but suspects.
    Usual,
    /// Those that were held when a gang died, have one attempt left, and may have killed it. Whatever is held beside such a row
    /// would lose an attempt, too.
    Suspect,
}

/// Neither done nor given up.
const OPEN: &str = "t.done_at IS NULL AND t.dead IS NULL";
const SUSPECT: &str = "(t.claimed_until IS NOT NULL AND t.attempts = $3::int - 1 AND $3::int > 1)";
/// The row has had its attempts.
const SPENT: &str = "t.attempts >= $3::int";
/// Why it is given up.
const REASON: &str = "\
'given up after ' || t.attempts || ' attempts' || CASE WHEN t.claimed_until IS NULL THEN '' \
ELSE ', the last of which has not ended: ' || coalesce(t.claimed_by, 'its holder') || ' was not heard of any more' END";

/// Claims rows in the order of their keys: `$2` is the lease in seconds, `$3` how many attempts a row has, `$4` how many rows are
/// wanted, and `$5` the text of a key behind which to begin, if `after` is. Rows that are spent are given up instead.
///
/// It returns whether a row may have been run before, its attempt, why it was given up, its key, and its columns.
pub(super) fn claim(list: &List, which: Which, after: bool) -> String {
    let List { table, key, columns } = list;
    let id = quoted(&key.name);
    let which = match which {
        Which::Usual => format!("NOT {SUSPECT}"),
        Which::Suspect => SUSPECT.to_owned(),
    };
    let after = if after { format!(" AND t.{id} > $5::text::{}", key.kind) } else { String::new() };
    let texts: String = columns.iter().map(|column| format!(", t.{}::text", quoted(&column.name))).collect();
    format!(
        "WITH next AS (SELECT t.{id} AS ganger_key, t.claimed_until IS NOT NULL AS ganger_doubtful FROM {table} AS t \
         WHERE {OPEN} AND (t.claimed_until IS NULL OR (t.claimed_until < now() AND t.claimed_by IS DISTINCT FROM $1::text)) \
         AND {which}{after} ORDER BY t.{id} LIMIT $4::bigint FOR UPDATE SKIP LOCKED), \
         taken AS (UPDATE {table} AS t SET \
         claimed_by = CASE WHEN {SPENT} THEN t.claimed_by ELSE $1::text END, \
         claimed_until = CASE WHEN {SPENT} THEN NULL ELSE {LEASE} END, \
         attempts = t.attempts + CASE WHEN {SPENT} THEN 0 ELSE 1 END, \
         dead = CASE WHEN {SPENT} THEN {REASON} END \
         FROM next WHERE t.{id} = next.ganger_key RETURNING next.ganger_doubtful, t.*) \
         SELECT t.ganger_doubtful, t.attempts, t.dead, t.{id}::text{texts} FROM taken AS t ORDER BY t.{id}"
    )
}

/// The end of a lease that begins now: not when the statement began, which may have waited for the table.
const LEASE: &str = "clock_timestamp() + $2::float8 * interval '1 second'";

/// Tells whether there is a row that is neither done nor given up.
pub(super) fn has_open_rows(list: &List) -> String {
    format!("SELECT EXISTS (SELECT 1 FROM {} AS t WHERE {OPEN})", list.table)
}

/// Extends leases: `$2` is the lease in seconds, `$3` keys, `$4` their attempts. It returns the keys of which that was possible; one
/// that is being settled is locked, and left out.
pub(super) fn beat(list: &List) -> String {
    let (table, id) = (&list.table, quoted(&list.key.name));
    format!(
        "WITH mine AS (SELECT t.{id} AS ganger_key, r.key FROM {table} AS t \
         JOIN unnest($3::text[], $4::int[]) AS r (key, attempt) ON {} FOR UPDATE OF t SKIP LOCKED) \
         UPDATE {table} AS t SET claimed_until = {LEASE} FROM mine WHERE t.{id} = mine.ganger_key RETURNING mine.key",
        fence(list)
    )
}

/// Holds for a row `t` only as long as the attempt `r` has it.
fn fence(list: &List) -> String {
    let Column { name, kind } = &list.key;
    format!("t.{} = r.key::{kind} AND t.claimed_by = $1::text AND t.attempts = r.attempt AND {OPEN}", quoted(name))
}

/// Writes results and marks their rows as done, both or neither: `$2` are keys, `$3` attempts, and from `$4` on the values of
/// `columns`. It returns the places, from 1, of the rows that were still held, and how many results are new.
pub(super) fn settle(list: &List, results: &Schema, columns: &[String]) -> String {
    let columns: Vec<&Column> = results.columns_of(columns).collect();
    let each = |form: &dyn Fn(usize, &Column) -> String| -> String {
        columns.iter().enumerate().map(|(place, column)| form(place, column)).collect()
    };
    let arrays = each(&|place, _| format!(", ${}::text[]", place + 4));
    let places = each(&|place, _| format!(", c{place}"));
    let names = each(&|_, column| format!(", {}", quoted(&column.name)));
    let values = each(&|place, column| format!(", r.c{place}::{}", column.kind));
    let (id, kind) = (quoted(&results.key.name), &results.key.kind);
    format!(
        "WITH given AS (SELECT * FROM unnest($2::text[], $3::int[]{arrays}) \
         WITH ORDINALITY AS r (key, attempt{places}, place)), \
         done AS (UPDATE {} AS t SET done_at = clock_timestamp(), claimed_until = NULL FROM given AS r WHERE {} \
         RETURNING r.place), \
         written AS (INSERT INTO {} ({id}{names}) SELECT r.key::{kind}{values} FROM given AS r JOIN done USING (place) \
         ORDER BY place ON CONFLICT ({id}) DO NOTHING RETURNING 1) \
         SELECT coalesce((SELECT array_agg(place) FROM done), '{{}}'), (SELECT count(*) FROM written)",
        list.table,
        fence(list),
        results.table
    )
}

/// Sets rows free that have failed, or gives them up: `$2` are keys, `$3` attempts, `$4` reasons, and `$5` says how many attempts a
/// row has. It returns the keys that were still held.
pub(super) fn fail(list: &List) -> String {
    format!(
        "UPDATE {} AS t SET claimed_until = NULL, dead = CASE WHEN t.attempts >= $5::int THEN r.reason END \
         FROM unnest($2::text[], $3::int[], $4::text[]) AS r (key, attempt, reason) WHERE {} RETURNING r.key",
        list.table,
        fence(list)
    )
}

/// Gives back rows that were not begun, as if they had never been claimed: `$2` are keys, `$3` attempts, `$4` tells which of them
/// are still in doubt, since another holder's lease has run out. They are nobody's then: a holder does not claim what it holds
/// itself, however long ago its lease has run out.
pub(super) fn give_back(list: &List) -> String {
    format!(
        "UPDATE {} AS t SET claimed_by = NULL, attempts = t.attempts - 1, claimed_until = CASE WHEN r.doubtful THEN '-infinity'::timestamptz END \
         FROM unnest($2::text[], $3::int[], $4::bool[]) AS r (key, attempt, doubtful) WHERE {}",
        list.table,
        fence(list)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, kind: &str) -> Column {
        Column { name: name.to_owned(), kind: kind.to_owned() }
    }

    fn list() -> List {
        let columns = vec![column("id", "bigint"), column("a b", "text")];
        List { table: "s.jobs".to_owned(), key: columns[0].clone(), columns }
    }

    #[test]
    fn claiming_skips_what_is_locked_and_counts_the_attempt_first() {
        let sql = claim(&list(), Which::Usual, true);
        for part in [
            "FROM s.jobs AS t WHERE t.done_at IS NULL AND t.dead IS NULL AND (t.claimed_until IS NULL OR (t.claimed_until < now()",
            "AND NOT (t.claimed_until IS NOT NULL AND t.attempts = $3::int - 1",
            "AND t.\"id\" > $5::text::bigint ORDER BY t.\"id\" LIMIT $4::bigint FOR UPDATE SKIP LOCKED)",
            "t.\"id\"::text, t.\"id\"::text, t.\"a b\"::text FROM taken AS t ORDER BY t.\"id\"",
        ] {
            assert!(sql.contains(part), "{part:?} is missing in {sql}");
        }
        assert!(!claim(&list(), Which::Suspect, false).contains("$5"));
    }

    #[test]
    fn what_is_given_back_can_be_claimed_again_by_the_same_holder() {
        assert!(give_back(&list()).contains("SET claimed_by = NULL, attempts = t.attempts - 1, claimed_until = CASE"));
        assert!(claim(&list(), Which::Usual, false).contains("t.claimed_by IS DISTINCT FROM $1::text"));
    }

    #[test]
    fn a_result_is_written_for_a_row_that_is_held_only() {
        let columns = vec![column("id", "integer"), column("x y", "numeric")];
        let results = Schema { table: "r".to_owned(), key: columns[0].clone(), columns };
        let sql = settle(&list(), &results, &["x y".to_owned()]);
        for part in [
            "unnest($2::text[], $3::int[], $4::text[]) WITH ORDINALITY AS r (key, attempt, c0, place)",
            "WHERE t.\"id\" = r.key::bigint AND t.claimed_by = $1::text AND t.attempts = r.attempt AND t.done_at IS NULL",
            "INSERT INTO r (\"id\", \"x y\") SELECT r.key::integer, r.c0::numeric FROM given AS r JOIN done USING (place)",
        ] {
            assert!(sql.contains(part), "{part:?} is missing in {sql}");
        }
    }
}
