"""Squares of numbers: T3, with a pool that is warm, one that is started for it, and by whole arrays where NumPy is installed."""

import multiprocessing

from digits import digest
from serving import serve, turn

try:
    import numpy
except ImportError:
    numpy = None


def square(x):
    return x * x


class Squares:
    def __init__(self, pool):
        self.pool = pool

    def numbers(self, count):
        self.data = list(range(count))

    def repeated(self, calls, function):
        def call():
            for _ in range(calls):
                squares = function()
            return squares

        answer = turn(call, digest)
        answer["seconds"] /= calls
        return answer

    def map(self, calls):
        return self.repeated(calls, lambda: self.pool.map(square, self.data))

    def loop(self, calls):
        return self.repeated(calls, lambda: [square(x) for x in self.data])

    def numpy(self, calls):
        """From a list to a list, as the others."""
        if numpy is None:
            return {"skip": "NumPy is not installed"}
        return self.repeated(calls, lambda: (numpy.array(self.data) ** 2).tolist())

    def started(self, method):
        def start():
            with multiprocessing.get_context(method).Pool(2) as pool:
                squares = pool.map(square, self.data)
            pool.join()
            return squares

        return turn(start, digest)


if __name__ == "__main__":
    with multiprocessing.Pool(2) as pool:
        serve(Squares(pool))
