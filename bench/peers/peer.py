"""Reads an operation per line, does it, and prints `ms <elapsed>`, or the number that it gives itself."""

import sys
import time


def serve(operations):
    out = sys.stdout
    for line in sys.stdin:
        operation = operations[line.strip()]
        start = time.perf_counter()
        own = operation()
        elapsed = (time.perf_counter() - start) * 1000
        out.write("ms %.4f\n" % (elapsed if own is None else own))
        out.flush()
