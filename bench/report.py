"""The document of a run: conditions, rows, and how the tools compare with Overwinter."""

import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path
from statistics import median_low
from typing import TypedDict

from bench.changes import PIECE
from bench.image import SOURCE, Image
from bench.rows import Row
from bench.tools import Tool

OURS = "overwinter"


class Document(TypedDict):
    """What is printed: ``runs`` hold the fields of ``Row``."""

    conditions: dict[str, object]
    runs: list[dict[str, object]]
    ratios: dict[str, dict[str, float]]


def medians(rows: Iterable[Row]) -> list[Row]:
    """Of rows that repeat a step the one with the median time (the lower of the middle two)."""
    steps: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        steps.setdefault((row.tool, row.what), []).append(row)
    return [
        next(row for row in repeated if row.seconds == median_low(one.seconds for one in repeated))
        for repeated in steps.values()
    ]


def ratios(rows: Iterable[Row]) -> dict[str, dict[str, float]]:
    """How many times as long as Overwinter each tool takes, per step: above 1 Overwinter is faster."""
    seconds = {(row.tool, row.what): row.seconds for row in rows}
    result: dict[str, dict[str, float]] = {}
    for (tool, what), taken in seconds.items():
        ours = seconds.get((OURS, what))
        if tool != OURS and ours:
            result.setdefault(tool, {})[what] = round(taken / ours, 2)
    return result


def conditions(
    image: Image, pieces: list[int], tools: Iterable[Tool], repeat: int, directory: Path
) -> dict[str, object]:
    """Where, on what and how the figures came about."""
    return {
        "machine": machine(directory),
        "image": {
            "format": "qcow2, ext4 made by mke2fs",
            "content": f"files of {SOURCE} in the order of their names",
            "virtual_bytes": image.virtual_size,
            "data_bytes": image.data_bytes,
            "files": image.files,
            "file_bytes": image.file_bytes,
            "edited_copies_bytes": image.edited_bytes,
            "zstd1_ratio": image.zstd1_ratio,
        },
        "changed1": f"{len(pieces)} pieces of {PIECE} random bytes, scattered over the data",
        "method": {
            "cache": "warm: the image is read once before each step; repositories are as just written",
            "clock": "start of the program to the end of sync -f of its file system; synced before as well",
            "storage": "image, repositories and restored files on one local file system",
            "order": "tools one after another, their order rotated by one at each repetition",
            "repeat": repeat,
            "figure": "row of the median time",
            "restore": "of the last point (changed1); compared with the truth, outside the clock",
            "unchanged": "the modification time of the image is new, as a running VM's always is",
            "peak_rss_bytes": "highest sum of VmRSS over the process tree, every 50 ms; at least any VmHWM",
            "bytes_read": "overwinter's backups: bytes of the disk; others: rchar of the process tree",
            "bytes_stored": "growth of all files of the repository",
            "not_timed": "creation of repositories, vaults and overlays; writing the changes",
        },
        "tools": {tool.name: tool.describe() for tool in tools},
    }


def machine(directory: Path) -> dict[str, object]:
    """The machine, and the file system that the directory is on."""
    return {
        "processor": _processor(),
        "processors": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "file_system": _file_system(directory),
        "load_average": os.getloadavg()[0],
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _file_system(directory: Path) -> str:
    command = ["findmnt", "--noheadings", "--output", "FSTYPE,OPTIONS", "--target", str(directory)]
    return " ".join(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
