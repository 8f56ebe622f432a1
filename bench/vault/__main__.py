"""Measure the vault against its goals: one JSON document on stdout and in a file, progress on stderr."""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from shutil import rmtree

from bench.entry import run_benchmark, size_of, tools_of
from bench.image import make_image
from bench.report import machine
from bench.rows import Row
from bench.scene import Stage
from bench.tools import TOOLS, Tool
from bench.vault import beside, changed, collection, large, series, similar, sparse
from bench.vault.sizes import GIB, Sizes
from testkit.runs import Run

#: Free space that is needed: in relation to the files, and for pages and index of the largest forged vault.
_SPACE = 8
_FORGED = 8 * GIB

Measurement = Callable[[Stage], Iterator[Row]]


def measurements(sizes: Sizes, tools: list[Tool]) -> dict[str, Measurement]:
    """Everything that can be measured, by name."""

    def beside_others(stage: Stage) -> Iterator[Row]:
        return beside.rows(stage, make_image(stage.directory, sizes.files), tools)

    return {
        "beside": beside_others,
        "two_similar": lambda stage: similar.rows(stage, sizes.files, tools),
        "sparse6t": lambda stage: sparse.rows(stage, sizes.sparse_disk),
        "changed_100g": lambda stage: changed.rows(stage, sizes.changed_disk),
        "index1t": lambda stage: large.rows(stage, sizes.index_data, sizes.index_backup),
        "collect10m": lambda stage: collection.rows(stage, sizes.chunks, sizes.points, sizes.machines),
        "objects": lambda stage: series.rows(stage, sizes.series_disk, sizes.series_increments),
    }


def arguments() -> argparse.Namespace:
    """What the user wants."""
    parser = argparse.ArgumentParser(prog="python -m bench.vault", description=__doc__)
    parser.add_argument("--size", type=size_of, default=Sizes.files, help="bytes of files on the images")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="how large everything else is, below 1 for a trial"
    )
    names = ",".join(measurements(Sizes(), []))
    parser.add_argument(
        "--only", type=lambda text: text.split(","), default=names.split(","), help=f"some of {names}"
    )
    names = ",".join(tool.name for tool in TOOLS)
    parser.add_argument("--tools", type=tools_of, default=list(TOOLS), help=f"some of {names}")
    parser.add_argument(
        "--report", type=Path, default=Path("bench-vault-report.json"), help="file for the JSON"
    )
    return parser.parse_args()


def rows(run: Run, wanted: dict[str, Measurement], say: Callable[[str], None]) -> Iterator[Row]:
    """Take all measurements, each in a directory of its own."""
    for name, measurement in wanted.items():
        say(f"{name} …")
        directory = run.directory / name
        directory.mkdir(mode=0o755)
        yield from measurement(Stage(run, directory, say))
        rmtree(directory)


def main() -> int:
    """Measure; exit status 1 when a tool fails or restores wrong data."""
    given = arguments()
    sizes = replace(Sizes().scaled(given.scale), files=given.size)
    known = measurements(sizes, given.tools)
    wanted = {name: known[name] for name in given.only}

    def work(run: Run, say: Callable[[str], None]) -> dict[str, object]:
        measured = [row.document() for row in rows(run, wanted, say)]
        return {
            "conditions": {
                "machine": machine(run.directory),
                "sizes": sizes.document(),
                "method": "docs/benchmarks.md, Vault",
                "tools": {tool.name: tool.describe() for tool in given.tools},
            },
            "runs": measured,
        }

    needed = round(sizes.files * _SPACE + _FORGED * given.scale)
    return run_benchmark(work, needed=needed, report=given.report)


if __name__ == "__main__":
    sys.exit(main())
