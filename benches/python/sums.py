"""The sum of numbers that the workers of a pool add to a manager: T4, corrected in two ways, and as the tutorial has it.

In `d[k] += x` two round trips stand beside each other: the value is fetched, and another one is stored. Whoever stores in
between is lost. A lock around it is one remedy; a manager whose objects add by themselves is the other.
"""

import multiprocessing
from multiprocessing.managers import BaseManager
import threading

from serving import serve, turn

# What a worker is given once, when it starts. (As arguments of each task, as the tutorial has it, each task would connect anew.)
shared = {}


def prepare(totals, lock, adder):
    shared.update(totals=totals, lock=lock, adder=adder)


def add_racing(number):
    shared["totals"]["sum"] += number


def add_locked(number):
    with shared["lock"]:
        shared["totals"]["sum"] += number


def add_atomically(number):
    shared["adder"].add("sum", number)


def add_range(first, last):
    """The sum of a share, added in one call."""
    shared["adder"].add("sum", sum(range(first, last)))


class Adder:
    """Totals whose manager adds: one round trip, and nothing in between."""

    def __init__(self):
        self.totals = {}
        self.lock = threading.Lock()

    def add(self, key, number):
        with self.lock:
            self.totals[key] = self.totals.get(key, 0) + number

    def take(self, key):
        with self.lock:
            return self.totals.pop(key, 0)


class AddingManager(BaseManager):
    pass


AddingManager.register("Adder", Adder)


class Sums:
    def __init__(self, pool, totals, adder):
        self.pool = pool
        self.totals = totals
        self.adder = adder

    def in_dict(self, task, count):
        def add():
            self.totals["sum"] = 0
            self.pool.map(task, range(count))
            return self.totals["sum"]

        return turn(add, int)

    def racing(self, count):
        return self.in_dict(add_racing, count)

    def locked(self, count):
        return self.in_dict(add_locked, count)

    def atomic_calls(self, count):
        def add():
            self.pool.map(add_atomically, range(count))
            return self.adder.take("sum")

        return turn(add, int)

    def partial_sums(self, count):
        def add():
            ends = [0, count // 2, count]
            self.pool.starmap(add_range, zip(ends, ends[1:]), chunksize=1)
            return self.adder.take("sum")

        return turn(add, int)


def main():
    with multiprocessing.Manager() as manager, AddingManager() as adding:
        totals, adder = manager.dict(), adding.Adder()
        with multiprocessing.Pool(2, prepare, (totals, multiprocessing.Lock(), adder)) as pool:
            serve(Sums(pool, totals, adder))


if __name__ == "__main__":
    main()
