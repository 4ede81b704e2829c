"""Images of random grey values, written as PNG by the standard library: T5."""

from functools import partial
from multiprocessing import Pool
from pathlib import Path
from random import Random
import struct
import zlib

from serving import serve, turn


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def write_image(directory, prefix, size, number):
    grey = Random(number).randbytes(size * size)
    # Each line begins with the number of its filter: none.
    lines = b"".join(b"\0" + grey[first : first + size] for first in range(0, size * size, size))
    header = struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b""))
    Path(directory, f"{prefix}{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return sum(grey)


class Images:
    def __init__(self, pool):
        self.pool = pool

    def map(self, directory, count, size):
        write = partial(write_image, directory, "image_", size)
        return turn(lambda: self.pool.map(write, range(count)), list)

    def loop(self, directory, count, size):
        return turn(lambda: [write_image(directory, "image_", size, number) for number in range(count)], list)


if __name__ == "__main__":
    with Pool(2) as pool:
        serve(Images(pool))
