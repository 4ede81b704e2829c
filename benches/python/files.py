"""The files of an extension under some directories, with their sizes: T3, in a loop, by a pool, and by a glob."""

from functools import partial
import glob
from multiprocessing import Pool
import os

from serving import serve, turn


def files(extension, directory):
    with os.scandir(directory) as entries:
        paths = [entry.path for entry in entries if entry.name.endswith(extension)]
    return [(path, os.stat(path).st_size) for path in paths]


def totals(found):
    return [len(found), sum(size for _, size in found)]


class Files:
    def __init__(self, pool):
        self.pool = pool

    def tree(self, root, directories, extension):
        self.root = root
        self.directories = directories
        self.extension = extension

    def map(self):
        task = partial(files, self.extension)
        found = lambda: sorted(sum(self.pool.map(task, self.directories), []))
        return turn(found, totals)

    def loop(self):
        found = lambda: sorted(sum((files(self.extension, directory) for directory in self.directories), []))
        return turn(found, totals)

    def glob(self):
        pattern = os.path.join(glob.escape(self.root), "**", "*" + self.extension)
        found = lambda: sorted((path, os.stat(path).st_size) for path in glob.glob(pattern, recursive=True))
        return turn(found, totals)


if __name__ == "__main__":
    with Pool(2) as pool:
        serve(Files(pool))
