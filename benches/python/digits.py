"""Numbers that are the same in Rust and in Python: Knuth's MMIX generator, of which the upper bits are used."""

MASK = (1 << 64) - 1


def states(seed):
    state = seed
    while True:
        state = (state * 6364136223846793005 + 1442695040888963407) & MASK
        yield state


def make_rows(count, width, seed):
    """Rows of the digits 0 to 9."""
    digits = ((state >> 33) % 10 for state in states(seed))
    return [[next(digits) for _ in range(width)] for _ in range(count)]


def digest(values):
    """The sum, and one that changes with the order; as unsigned numbers of 64 bits, which ours are."""
    weighted = sum(place * value for place, value in enumerate(values, 1))
    return [sum(values) & MASK, weighted & MASK]
