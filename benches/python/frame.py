"""A table of places, handled by partition: how far are they from New York? T2, by arrays, and by NumPy where it is installed."""

from array import array
from math import asin, cos, floor, radians, sin, sqrt
from multiprocessing import Pool

from digits import states
from serving import serve, turn

try:
    import numpy
except ImportError:
    numpy = None


def distance(latitude, longitude):
    a, b = radians(40.7), radians(latitude)
    half_height, half_width = (b - a) / 2, radians(longitude + 74) / 2
    haversine = sin(half_height) ** 2 + cos(a) * cos(b) * sin(half_width) ** 2
    return floor(2 * 6371 * asin(min(sqrt(haversine), 1)) + 0.5)


def total(latitudes, longitudes):
    return sum(map(distance, latitudes, longitudes))


def numpy_total(latitudes, longitudes):
    a, b = numpy.radians(40.7), numpy.radians(latitudes)
    half_height, half_width = (b - a) / 2, numpy.radians(longitudes + 74) / 2
    haversine = numpy.sin(half_height) ** 2 + numpy.cos(a) * numpy.cos(b) * numpy.sin(half_width) ** 2
    return numpy.floor(2 * 6371 * numpy.arcsin(numpy.minimum(numpy.sqrt(haversine), 1)) + 0.5).sum()


class Frame:
    def __init__(self, pool):
        self.pool = pool

    def places(self, count, seed):
        numbers = states(seed)
        degrees = lambda most: ((next(numbers) >> 11) / (1 << 53) * 2 - 1) * most
        self.columns = array("d"), array("d")
        for _ in range(count):
            self.columns[0].append(degrees(90))
            self.columns[1].append(degrees(180))

    def parts(self, columns, parts):
        count = len(columns[0])
        ends = [count * part // parts for part in range(parts + 1)]
        return [tuple(column[first:last] for column in columns) for first, last in zip(ends, ends[1:])]

    def partitions(self, parts):
        return turn(lambda: sum(self.pool.starmap(total, self.parts(self.columns, parts), chunksize=1)), float)

    def numpy_partitions(self, parts):
        if numpy is None:
            return {"skip": "NumPy is not installed"}
        columns = [numpy.frombuffer(column) for column in self.columns]
        return turn(lambda: sum(self.pool.starmap(numpy_total, self.parts(columns, parts), chunksize=1)), float)

    def numpy_whole(self):
        if numpy is None:
            return {"skip": "NumPy is not installed"}
        columns = [numpy.frombuffer(column) for column in self.columns]
        return turn(lambda: numpy_total(*columns), float)


if __name__ == "__main__":
    with Pool(2) as pool:
        serve(Frame(pool))
