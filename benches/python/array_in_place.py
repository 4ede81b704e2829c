"""An array in shared memory that workers fill in place with random numbers: T5's third part."""

from array import array
from multiprocessing import Pool, resource_tracker
from multiprocessing.shared_memory import SharedMemory
from random import Random

from serving import serve, turn

COLUMNS = 100
PARTS = 64


def fill(name, part, first, last):
    memory = SharedMemory(name)
    numbers = memory.buf.cast("d")
    random = Random(part).random
    for row in range(first, last):
        numbers[row * COLUMNS : (row + 1) * COLUMNS] = array("d", [row + random() for _ in range(COLUMNS)])
    numbers.release()
    memory.close()


class InPlace:
    def __init__(self, pool):
        self.pool = pool

    def shared_memory(self, rows):
        """Each number's whole part is its row; the sum of these is the answer."""

        def filled():
            memory = SharedMemory(create=True, size=rows * COLUMNS * 8)
            ends = [rows * part // PARTS for part in range(PARTS + 1)]
            pieces = zip(range(PARTS), ends, ends[1:])
            self.pool.starmap(fill, [(memory.name, *piece) for piece in pieces], chunksize=1)
            return memory

        def sum_of_rows(memory):
            numbers = memory.buf.cast("d")
            total = sum(map(int, numbers[: rows * COLUMNS]))
            numbers.release()
            memory.close()
            memory.unlink()
            return total

        return turn(filled, sum_of_rows)


if __name__ == "__main__":
    # First, so that the workers inherit it: otherwise each has a tracker of its own, which complains in the end.
    resource_tracker.ensure_running()
    with Pool(2) as pool:
        serve(InPlace(pool))
