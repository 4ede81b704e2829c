"""Prints the public names of Python's multiprocessing, one a line. How to run it is the second line of what it prints."""

import inspect
import sys
from multiprocessing import __all__ as exported
from multiprocessing import connection, managers, pool, process, queues, shared_memory, sharedctypes, synchronize
import multiprocessing


def main():
    if sys.version_info[:2] != (3, 11):
        sys.exit("the list is that of Python 3.11")
    print("# The public names of CPython 3.11's multiprocessing: what python-names.py prints.")
    print("# python3.11 crates/lib/tests/guide/python-names.py > crates/lib/tests/guide/python-names.txt")
    names = set(exported)
    for module in (connection, managers, pool, process, queues, shared_memory, sharedctypes, synchronize):
        names.update(names_of(module))
    names.update(f"Process.{member}" for member in members(multiprocessing.Process))
    for made in made_objects():
        names.update(f"{type(made).__name__}.{member}" for member in vars(made) if is_public(member))
    print(*sorted(names, key=lambda name: (name.lower(), name)), sep="\n")


def names_of(module):
    """What the module defines, exported or not, and the members of its classes, inherited ones included."""
    for name, value in vars(module).items():
        if is_public(name) and getattr(value, "__module__", None) == module.__name__:
            yield name
            if inspect.isclass(value):
                yield from (f"{name}.{member}" for member in members(value))


def members(cls):
    """The members that classes of multiprocessing give it: not those of `list`, `dict` or `Exception`."""
    for base in cls.__mro__:
        if base.__module__.startswith("multiprocessing"):
            yield from (name for name in vars(base) if is_public(name))


def made_objects():
    """Objects whose public names are there only once they are made: `acquire` and `release` above all."""
    context = multiprocessing.get_context()
    return [
        context.Lock(), context.RLock(), context.Semaphore(1), context.BoundedSemaphore(1), context.Condition(),
        context.Value("i", 0), context.Array("i", 1), context.Array("c", 1),
    ]


def is_public(name):
    return not name.startswith("_")


main()
