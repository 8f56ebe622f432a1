"""Measure all tools on one image: one JSON document on stdout and in a file, progress on stderr."""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from shutil import disk_usage, rmtree

import libvirt
from rich.console import Console

from bench.changes import scattered_pieces
from bench.image import Image, make_image
from bench.measure import BenchError
from bench.report import Document, conditions, medians, ratios
from bench.rows import Row
from bench.scene import Scene
from bench.tools import TOOLS, Tool
from testkit.daemons import LIBVIRT_URI, libvirt_daemons
from testkit.runs import Run, begin_run

#: Bytes of files on the image: somewhat more than 4 GB, as files hold zeros too.
DEFAULT_SIZE = 4_500_000_000

#: Free space that is needed, in relation to the files: the image and at most three more of its kind.
_SPACE = 5

_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def size_of(text: str) -> int:
    """A size in bytes, with K, M or G behind it if you like."""
    return int(text[:-1]) * _UNITS[text[-1]] if text[-1] in _UNITS else int(text)


def tools_of(text: str) -> list[Tool]:
    """Tools by their names, separated by commas."""
    known = {tool.name: tool for tool in TOOLS}
    return [known[name] for name in text.split(",")]


def arguments() -> argparse.Namespace:
    """What the user wants."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--size", type=size_of, default=DEFAULT_SIZE, help="bytes of files on the image")
    parser.add_argument("--repeat", type=int, default=1, help="measure so often and report medians")
    names = ",".join(tool.name for tool in TOOLS)
    parser.add_argument("--tools", type=tools_of, default=list(TOOLS), help=f"some of {names}")
    parser.add_argument("--report", type=Path, default=Path("bench-report.json"), help="file for the JSON")
    return parser.parse_args()


def rows(run: Run, image: Image, tools: list[Tool], repeat: int, say: Callable[[str], None]) -> Iterator[Row]:
    """Let every tool take its turn, ``repeat`` times."""
    pieces = scattered_pieces(image)
    for turn in range(repeat):
        first = turn % len(tools)
        for tool in [*tools[first:], *tools[:first]]:
            directory = run.directory / tool.name
            directory.mkdir(mode=0o755)
            yield from tool.rows(Scene(run, image, pieces, directory, say))
            rmtree(directory)


@contextmanager
def begun_run() -> Iterator[Run]:
    """A directory and names of our own; what killed runs left behind is removed first."""
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    with libvirt_daemons():
        connection = libvirt.open(LIBVIRT_URI)
        try:
            with begin_run(connection) as run:
                yield run
        finally:
            connection.close()


def main() -> int:
    """Run the benchmark; exit status 1 when a tool fails or restores wrong data."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is cleaned up
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a program in the background begins without it
    wanted = arguments()
    console = Console(stderr=True, highlight=False)
    try:
        with begun_run() as run:
            needed, free = wanted.size * _SPACE, disk_usage(run.directory).free
            if free < needed:
                raise BenchError(f"{run.directory.parent} has {free} bytes free; {needed} are needed.")
            console.print(f"working in {run.directory}", soft_wrap=True)
            console.print(f"making an image with {wanted.size / 1e9:.2f} GB of files …")
            image = make_image(run.directory, wanted.size)
            known = conditions(image, scattered_pieces(image), wanted.tools, wanted.repeat, run.directory)
            measured = medians(rows(run, image, wanted.tools, wanted.repeat, console.print))
    except BenchError as error:
        console.print(f"[red]benchmark failed:[/red] {error}", soft_wrap=True)
        return 1
    document = Document(conditions=known, runs=[asdict(row) for row in measured], ratios=ratios(measured))
    text = json.dumps(document, indent=1, ensure_ascii=False)
    wanted.report.write_text(text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
