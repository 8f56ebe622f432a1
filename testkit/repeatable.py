"""Runs that can be repeated: the order of Python's sets depends on a seed that differs with every process."""

import os
import sys

_VARIABLE = "PYTHONHASHSEED"


def fix_order_of_sets() -> None:
    """Begin this program again with a fixed seed, unless it has one. To be called first of all."""
    if os.environ.get(_VARIABLE) != "0":
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, _VARIABLE: "0"})
