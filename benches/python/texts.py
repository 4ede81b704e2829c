"""Files that are read by workers into a list that a manager keeps: T5's second part."""

import multiprocessing

from digits import digest
from serving import serve, turn

shared = {}


def prepare(texts):
    shared["texts"] = texts


def append(place, path):
    with open(path) as file:
        shared["texts"].append((place, file.read()))


class Texts:
    def __init__(self, pool, texts):
        self.pool = pool
        self.texts = texts

    def files(self, paths):
        self.paths = paths

    def managed_list(self):
        def read():
            del self.texts[:]
            self.pool.starmap(append, enumerate(self.paths))
            self.texts.sort()
            return [text for _, text in self.texts[:]]

        return turn(read, lambda texts: digest([len(text) for text in texts]))

    def loop(self):
        def read():
            texts = []
            for path in self.paths:
                with open(path) as file:
                    texts.append(file.read())
            return texts

        return turn(read, lambda texts: digest([len(text) for text in texts]))


def main():
    with multiprocessing.Manager() as manager:
        texts = manager.list()
        with multiprocessing.Pool(2, prepare, (texts,)) as pool:
            serve(Texts(pool, texts))


if __name__ == "__main__":
    main()
