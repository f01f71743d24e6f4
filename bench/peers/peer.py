"""Reads an operation per line, does it, and prints `ms <elapsed>`."""

import sys
import time


def serve(operations):
    out = sys.stdout
    for line in sys.stdin:
        operation = operations[line.strip()]
        start = time.perf_counter()
        operation()
        elapsed = (time.perf_counter() - start) * 1000
        out.write("ms %.4f\n" % elapsed)
        out.flush()
