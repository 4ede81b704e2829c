"""The CPython side of the rows that are no tutorial's: one pool of 2, and what is asked of it."""

import collections
import multiprocessing
import os

from digits import make_rows
from serving import serve, timed


def noop(x):
    return x


def pid_of(*arguments):
    return os.getpid()


def count_in_range(row, low, high):
    count = 0
    for number in row:
        if low <= number <= high:
            count += 1
    return count


def add_one_by_one(totals, count):
    """In a worker, as ours is."""

    def additions():
        for _ in range(count):
            totals[7] += 1

    return timed(additions)[0]


def produce(queue, begin, count):
    queue.put(0)
    begin.get()
    for number in range(count):
        queue.put(number)


def counted(seconds, values):
    """The answer about a count-in-range run; the weighted sum tells whether the order is right, too."""
    weighted = sum(index * value for index, value in enumerate(values, 1))
    return {"seconds": seconds, "sum": sum(values), "weighted": weighted}


class Peer:
    def __init__(self, pool):
        self.pool = pool
        self.data = []
        self.manager = None
        self.totals = None
        self.range = (0, 0)

    def apply(self, count, base):
        def calls():
            for number in range(base, base + count):
                self.pool.apply(noop, (number,))

        return {"seconds": timed(calls)[0]}

    def apply_pids(self, count):
        return self.per_pid(self.pool.apply(pid_of, (number,)) for number in range(count))

    def echo_bytes(self, size):
        seconds, back = timed(lambda value=b"\1" * size: self.pool.apply(noop, (value,)))
        return {"seconds": seconds, "sum": sum(back)}

    def queue(self, count):
        """From the moment in which the producer may begin until the last item is there."""
        queue, begin = multiprocessing.Queue(), multiprocessing.Queue()
        producer = multiprocessing.Process(target=produce, args=(queue, begin, count))
        producer.start()
        queue.get()
        begin.put(None)
        seconds, total = timed(lambda: sum(queue.get() for _ in range(count)))
        producer.join()
        return {"seconds": seconds, "sum": total}

    def manager_add(self, count):
        if self.totals is None:
            # Kept: its process ends with it.
            self.manager = multiprocessing.Manager()
            self.totals = self.manager.dict({7: 0})
        return {"seconds": self.pool.apply(add_one_by_one, (self.totals, count))}

    def rows(self, count, width, seed, low, high):
        self.data = make_rows(count, width, seed)
        self.range = (low, high)
        return {}

    def calls(self):
        """The arguments of each call, which `starmap` needs as a list of tuples."""
        low, high = self.range
        return [(row, low, high) for row in self.data]

    def starmap(self):
        return counted(*timed(lambda: self.pool.starmap(count_in_range, self.calls())))

    def starmap_pids(self):
        return self.per_pid(self.pool.starmap(pid_of, self.calls()))

    def serial(self):
        low, high = self.range
        return counted(*timed(lambda: [count_in_range(row, low, high) for row in self.data]))

    def per_pid(self, pids):
        return {"own": os.getpid(), "pids": collections.Counter(pids)}


def main():
    with multiprocessing.Pool(2) as pool:
        serve(Peer(pool))


if __name__ == "__main__":
    main()
