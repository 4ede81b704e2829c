"""Squares with a nap before each: T3, by a pool that has more workers than there are processors."""

import multiprocessing
import time

from digits import digest
from serving import serve, turn

WORKERS = 8


def slow_square(x):
    time.sleep(0.01)
    return x * x


class Naps:
    def __init__(self, pool):
        self.pool = pool

    def map(self, count):
        return turn(lambda: self.pool.map(slow_square, range(count)), digest)


if __name__ == "__main__":
    with multiprocessing.Pool(WORKERS) as pool:
        serve(Naps(pool))
