"""How a script of the benches is asked for something and answers.

It reads one command a line on standard input, with its arguments as JSON, and writes one JSON answer a line on standard
output: `apply {"count": 2000}`. So both sides are measured in turns, and an idle pool here waits without using a processor.
"""

import json
import multiprocessing
import platform
import sys
import time


def timed(function):
    """The seconds that a call takes, and its value."""
    start = time.perf_counter()
    value = function()
    return time.perf_counter() - start, value


def turn(function, answer):
    """One turn in a contest: the answer is made of the value when the clock has stopped."""
    seconds, value = timed(function)
    return {"seconds": seconds, "answer": answer(value)}


def hello():
    return {"version": platform.python_version(), "start_method": multiprocessing.get_start_method()}


def serve(commands):
    """Answers with what the methods of `commands` return, until the input ends."""
    for line in sys.stdin:
        name, _, arguments = line.partition(" ")
        method = hello if name.strip() == "hello" else getattr(commands, name.strip())
        print(json.dumps(method(**json.loads(arguments or "{}"))), flush=True)
