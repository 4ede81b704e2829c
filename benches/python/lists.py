"""The sums of many lists at once, with a pool for each list: T4's second part, corrected.

A worker of a `Pool` may not have a pool of its own, so the outer one is a `ProcessPoolExecutor`. A list's key is its place, and
each task adds a share's sum under a lock.
"""

from concurrent.futures import ProcessPoolExecutor
import multiprocessing

from serving import serve, turn

shared = {}


def prepare(totals, lock):
    shared.update(totals=totals, lock=lock)


def add_range(place, first, last):
    share = sum(range(first, last))
    with shared["lock"]:
        shared["totals"][place] += share


def sum_list(place, size):
    with multiprocessing.Pool(2, prepare, (shared["totals"], shared["lock"])) as pool:
        pool.starmap(add_range, [(place, 0, size // 2), (place, size // 2, size)])


class Lists:
    def __init__(self, outer, totals):
        self.outer = outer
        self.totals = totals

    def nested(self, sizes):
        def add():
            self.totals.update({place: 0 for place in range(len(sizes))})
            list(self.outer.map(sum_list, range(len(sizes)), sizes))
            return [self.totals[place] for place in range(len(sizes))]

        return turn(add, list)


def main():
    with multiprocessing.Manager() as manager:
        totals = manager.dict()
        with ProcessPoolExecutor(2, initializer=prepare, initargs=(totals, multiprocessing.Lock())) as outer:
            serve(Lists(outer, totals))


if __name__ == "__main__":
    main()
