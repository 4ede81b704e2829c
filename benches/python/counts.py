"""How many numbers of each row lie within a range: T2, as the tutorial has it, and with shared memory by hand."""

from array import array
from itertools import chain
from multiprocessing import Pool, resource_tracker
from multiprocessing.shared_memory import SharedMemory

from digits import digest, make_rows
from serving import serve, turn

WIDTH = 5


def count_in_range(row, low, high):
    count = 0
    for number in row:
        if low <= number <= high:
            count += 1
    return count


def count_part(rows, counts, first, last, low, high):
    """Rows that are where they are; the counts are written to their places. The names are those of shared memory."""
    rows, counts = SharedMemory(rows), SharedMemory(counts)
    numbers, places = rows.buf.cast("q"), counts.buf.cast("q")
    for row in range(first, last):
        places[row] = count_in_range(numbers[row * WIDTH : (row + 1) * WIDTH].tolist(), low, high)
    numbers.release()
    places.release()
    rows.close()
    counts.close()


class Counts:
    def __init__(self, pool):
        self.pool = pool

    def rows(self, count, seed, low, high):
        self.data = make_rows(count, WIDTH, seed)
        self.range = (low, high)
        self.shared = SharedMemory(create=True, size=count * WIDTH * 8)
        self.counts = SharedMemory(create=True, size=count * 8)
        numbers = array("q", chain.from_iterable(self.data)).tobytes()
        self.shared.buf[: len(numbers)] = numbers

    def starmap(self):
        """With the list of argument tuples, which it needs."""
        low, high = self.range
        return turn(lambda: self.pool.starmap(count_in_range, [(row, low, high) for row in self.data]), digest)

    def shared_memory(self, parts):
        def count():
            size = len(self.data)
            ends = [size * part // parts for part in range(parts + 1)]
            names = (self.shared.name, self.counts.name)
            self.pool.starmap(count_part, [(*names, *piece, *self.range) for piece in zip(ends, ends[1:])], chunksize=1)
            places = self.counts.buf.cast("q")
            counts = places[:size].tolist()
            places.release()
            return counts

        return turn(count, digest)

    def loop(self):
        low, high = self.range
        return turn(lambda: [count_in_range(row, low, high) for row in self.data], digest)

    def leave(self):
        for memory in (self.shared, self.counts):
            memory.close()
            memory.unlink()


if __name__ == "__main__":
    # First, so that the workers inherit it: otherwise each has a tracker of its own, which complains in the end.
    resource_tracker.ensure_running()
    with Pool(2) as pool:
        counts = Counts(pool)
        serve(counts)
        counts.leave()
