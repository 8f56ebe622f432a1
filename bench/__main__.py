"""Measure all tools on one image: one JSON document on stdout and in a file, progress on stderr."""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import rmtree

from bench.changes import scattered_pieces
from bench.entry import run_benchmark, size_of, tools_of
from bench.image import Image, make_image
from bench.report import Document, conditions, medians, ratios
from bench.rows import Row
from bench.scene import Scene
from bench.tools import TOOLS, Tool
from testkit.runs import Run

#: Bytes of files on the image: somewhat more than 4 GB, as files hold zeros too.
DEFAULT_SIZE = 4_500_000_000

#: Free space that is needed, in relation to the files: the image and at most three more of its kind.
_SPACE = 5


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
            yield from tool.rows(Scene(run, directory, say, image, pieces))
            rmtree(directory)


def main() -> int:
    """Run the benchmark; exit status 1 when a tool fails or restores wrong data."""
    wanted = arguments()

    def work(run: Run, say: Callable[[str], None]) -> Document:
        say(f"making an image with {wanted.size / 1e9:.2f} GB of files …")
        image = make_image(run.directory, wanted.size)
        known = conditions(image, scattered_pieces(image), wanted.tools, wanted.repeat, run.directory)
        measured = medians(rows(run, image, wanted.tools, wanted.repeat, say))
        return Document(conditions=known, runs=[row.document() for row in measured], ratios=ratios(measured))

    return run_benchmark(work, needed=wanted.size * _SPACE, report=wanted.report)


if __name__ == "__main__":
    sys.exit(main())
