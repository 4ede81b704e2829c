"""A network of payments: T1. The graph is loaded before the pool is forked, so that its workers have it."""

import csv
import io
import multiprocessing

from serving import serve, turn

# For each node the payments that it makes: to whom, and how many cents.
network = []


def load(text):
    rows = [row for row in csv.reader(io.StringIO(text)) if len(row) >= 5][1:]
    places = {row[0]: place for place, row in enumerate(rows)}
    network.extend([] for _ in rows)
    for place, row in enumerate(rows):
        if row[3] in places:
            network[place].append((places[row[3]], int(row[4])))


def process(node):
    """How many parties a node's money reaches in three payments, and the cents that are paid on the way."""
    seen, border, cents = {node}, [node], 0
    for _ in range(3):
        reached = []
        for source in border:
            for target, paid in network[source]:
                cents += paid
                if target not in seen:
                    seen.add(target)
                    reached.append(target)
        border = reached
    return len(seen) - 1, cents


def totals(reaches):
    return [sum(reached for reached, _ in reaches), sum(cents for _, cents in reaches)]


class Transactions:
    pool = None

    def start(self, text):
        load(text)
        self.pool = multiprocessing.Pool(2)

    def map(self):
        return turn(lambda: self.pool.map(process, range(len(network))), totals)

    def callbacks(self):
        """As the tutorial has it, but without a new pool every so many rows."""

        def run():
            reaches = {}
            results = [
                self.pool.apply_async(process, (node,), callback=lambda reach, node=node: reaches.update({node: reach}))
                for node in range(len(network))
            ]
            for result in results:
                result.get()
            return reaches.values()

        return turn(run, totals)

    def loop(self):
        return turn(lambda: [process(node) for node in range(len(network))], totals)


if __name__ == "__main__":
    transactions = Transactions()
    serve(transactions)
    if transactions.pool:
        transactions.pool.terminate()
        transactions.pool.join()
