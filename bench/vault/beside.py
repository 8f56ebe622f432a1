"""first, unchanged, changed1 and restore as `make bench` measures them, and what an increment is made of."""

from collections.abc import Iterator
from dataclasses import replace
from shutil import rmtree

from bench.changes import PIECE, scattered_pieces
from bench.image import Image
from bench.rows import Row
from bench.scene import Scene, Stage
from bench.tools import Tool
from bench.vault.anatomy import Anatomy, overhead


def rows(stage: Stage, image: Image, tools: list[Tool]) -> Iterator[Row]:
    """All steps of all tools; for ``changed1`` with what is stored by what was changed."""
    pieces = scattered_pieces(image)
    changed = len(pieces) * PIECE
    for tool in tools:
        directory = stage.directory / tool.name
        directory.mkdir(mode=0o755)
        vault = Anatomy(directory / "vault")
        for row in tool.rows(Scene(stage.run, directory, stage.say, image, pieces)):
            grown = vault.grown()
            if row.what == "changed1" and row.bytes_stored is not None:
                details = {
                    "bytes_changed": changed,
                    "stored_by_changed": round(row.bytes_stored / changed, 3),
                }
                yield replace(row, details=details | (overhead(grown, changed) if grown else {}))
            else:
                yield row
        rmtree(directory)
