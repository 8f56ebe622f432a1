"""What each program of the benchmark begins and ends with: arguments, a run of its own, one document."""

import json
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shutil import disk_usage

import libvirt
from rich.console import Console

from bench.measure import BenchError
from bench.tools import TOOLS, Tool
from testkit.daemons import libvirt_daemons
from testkit.runs import Run, begin_run

_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}

#: Makes the document of a run; is given the run, and whom to tell of its progress.
Work = Callable[[Run, Callable[[str], None]], Mapping[str, object]]


def size_of(text: str) -> int:
    """A size in bytes, with K, M or G behind it if you like."""
    return int(text[:-1]) * _UNITS[text[-1]] if text[-1] in _UNITS else int(text)


def tools_of(text: str) -> list[Tool]:
    """Tools by their names, separated by commas."""
    known = {tool.name: tool for tool in TOOLS}
    return [known[name] for name in text.split(",")]


def run_benchmark(work: Work, *, needed: int, report: Path) -> int:
    """Do the work and print its document, also into ``report``; gives the exit status.

    ``needed`` bytes must be free where the run works. The status is 1 when a tool fails or restores
    wrong data.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is cleaned up
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a program in the background begins without it
    console = Console(stderr=True, highlight=False)
    try:
        with _begun_run() as run:
            free = disk_usage(run.directory).free
            if free < needed:
                raise BenchError(f"{run.directory.parent} has {free} bytes free; {needed} are needed.")
            console.print(f"working in {run.directory}", soft_wrap=True)
            document = work(run, lambda text: console.print(text, soft_wrap=True))
    except BenchError as error:
        console.print(f"[red]benchmark failed:[/red] {error}", soft_wrap=True)
        return 1
    text = json.dumps(document, indent=1, ensure_ascii=False)
    report.write_text(text + "\n")
    print(text)
    return 0


@contextmanager
def _begun_run() -> Iterator[Run]:
    """A directory and names of our own; what killed runs left behind is removed first."""
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    with libvirt_daemons(), begin_run() as run:
        yield run
