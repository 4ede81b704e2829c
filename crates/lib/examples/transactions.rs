//! A network of payments: rows of a CSV file become a graph, and a pool finds out for each party how far its money gets.
//!
//! ```sh
//! cargo run --release --example transactions -- payments.csv --start-method fork      # or: --serial
//! ```
//! The graph need not be serialized: under `fork` the workers are copies of this process and have it already; under the other
//! start methods each of them reads the rows once. What travels is the number of a node, and an answer.
use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::rc::Rc;

use ganger::{Captured, Pool, StartMethod, Task, with_worker_state};
use indicatif::ProgressIterator;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

/// The columns; a row with fewer fields is skipped. `to` is the `id` of who is paid.
pub const COLUMNS: [&str; 5] = ["id", "name", "address", "to", "cents"];

/// A node: its name, its address, and what was found out.
#[derive(Clone, Debug)]
pub struct Party(pub String, pub String, pub Option<Reach>);

/// How many parties somebody's money reaches in three payments, and the cents that are paid on the way.
pub type Reach = (u64, u64);

/// Parties, and the cents that one has paid to another.
pub type Network = DiGraph<Party, u64>;

/// The text of a file of so many rows, of which every 97th is too short.
pub fn csv(rows: u64) -> String {
    let row = |id: u64| match id % 97 {
        96 => format!("{id},Party {id}\n"),
        _ => format!("{id},Party {id},\"{id} Main Street, Rome\",{},{}\n", id * id * 31 % rows, id * 7919 % 100_000),
    };
    COLUMNS.join(",") + "\n" + &(0..rows).map(row).collect::<String>()
}

/// Makes the graph, and counts the rows that were skipped.
pub fn load(text: String) -> Result<(Network, usize), Box<dyn Error>> {
    let (mut network, mut nodes, mut payments, mut skipped) = (Network::new(), HashMap::new(), Vec::new(), 0);
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let columns = reader.headers()?.len();
    if columns < COLUMNS.len() {
        return Err(format!("line 1 has {columns} column(s), not {}: is its delimiter a comma?", COLUMNS.len()).into());
    }
    for row in reader.records() {
        let row = row?;
        if row.len() < COLUMNS.len() {
            skipped += 1;
            continue;
        }
        let line = row.position().map_or(0, csv::Position::line);
        let cents = row[4].parse().map_err(|_| format!("line {line}, column 5 (cents): {} is no number", &row[4]))?;
        let node = network.add_node(Party(row[1].to_owned(), row[2].to_owned(), None));
        nodes.insert(row[0].to_owned(), node);
        payments.push((node, row[3].to_owned(), cents));
    }
    // Who was skipped is nobody's partner.
    for (from, to, cents) in payments {
        nodes.get(&to).map(|to| network.add_edge(from, *to, cents));
    }
    Ok((network, skipped))
}

/// The work for one node.
pub fn process(network: &Network, node: u32) -> Reach {
    let (mut seen, mut border, mut cents) = (HashSet::from([NodeIndex::from(node)]), vec![NodeIndex::from(node)], 0);
    for _ in 0..3 {
        let payments = border.iter().flat_map(|from| network.edges(*from)).inspect(|payment| cents += payment.weight());
        border = payments.map(|payment| payment.target()).filter(|to| seen.insert(*to)).collect();
    }
    (seen.len() as u64 - 1, cents)
}

/// In this process.
pub fn sequential(network: &mut Network) {
    for node in network.node_indices() {
        network[node].2 = Some(process(network, node.index() as u32));
    }
}

/// By the workers of a pool. `imap` is a bounded number of tasks ahead of its reader, so nobody needs batches with a pool for each.
pub fn parallel(pool: &Pool, task: impl Task<(u32,), Reach>, network: &mut Network) -> Result<(), ganger::TaskError> {
    let count = network.node_count() as u64;
    // The callback: it is called in this process, as the answers come, and needs no lock.
    let mut collect_result = |node, reach| network[NodeIndex::new(node)].2 = Some(reach);
    let results = pool.imap(task, 0..count as u32).progress_count(count);
    results.enumerate().try_for_each(|(node, reach)| reach.map(|reach| collect_result(node, reach)))
}

/// Under `fork`: a pool whose workers have the graph, and its task.
pub fn forked(network: &Rc<Network>) -> Result<(Pool, Captured<u32, Reach>), ganger::Error> {
    let network = Rc::clone(network);
    Pool::builder().fork_with(move |node| process(&network, node))
}

/// Under any start method: a pool whose workers read the rows when they start, and its task.
pub fn loaded(text: String) -> Result<(Pool, impl Task<(u32,), Reach>), ganger::Error> {
    let pool = Pool::builder().try_initializer(load, (text,)).build()?;
    Ok((pool, |node| with_worker_state(|(network, _): &mut (Network, usize)| process(network, node))))
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut path, mut serial) = (None, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--serial" => serial = true,
            "--start-method" => ganger::set_start_method(arguments.next().ok_or("which start method?")?.parse()?)?,
            _ => path = Some(argument),
        }
    }
    let text = path.as_ref().map_or_else(|| Ok(csv(20_000)), std::fs::read_to_string);
    let path = path.unwrap_or_default();
    let text = text.map_err(|error| format!("cannot read {path}: {error}"))?;
    let (network, skipped) = load(text.clone()).map_err(|error| format!("{path}: {error}"))?;
    let mut network = Rc::new(network);
    let start = std::time::Instant::now();
    if serial {
        sequential(Rc::make_mut(&mut network));
    } else if ganger::start_method() == StartMethod::Fork {
        let (pool, task) = forked(&network)?;
        // The workers have copies of it: this one is nobody else's again, and can be written to.
        parallel(&pool, task, Rc::make_mut(&mut network))?;
    } else {
        let (pool, task) = loaded(text)?;
        parallel(&pool, task, Rc::make_mut(&mut network))?;
    }
    eprintln!("{:?}", start.elapsed());
    println!("{} parties, {} payments, {skipped} rows skipped", network.node_count(), network.edge_count());
    if let Some(Party(name, address, Some(reach))) = network.node_weights().max_by_key(|party| party.2) {
        println!("{name} of {address} reaches {} others with {} cents", reach.0, reach.1);
    }
    let cents: u64 = network.node_weights().filter_map(|party| Some(party.2?.1)).sum();
    println!("{cents} cents on all ways");
    Ok(())
}
