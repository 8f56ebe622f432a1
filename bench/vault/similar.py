"""two_similar: what the image of a second VM costs that is nearly the first one.

Its files are those of the first, but 2 % of them are a little longer at their beginning. So what follows lies
elsewhere: within these files by some bytes, in the file system by whole blocks.
"""

import random
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bench.image import fill_image, stage_files
from bench.rows import Row
from bench.scene import Stage, stored
from bench.tools import DeduplicatingTool, Tool

_FRACTION = 0.02

#: What a changed file gets at its beginning: more than a block, and no whole number of them.
_SHIFT = 5000


def rows(stage: Stage, size: int, tools: list[Tool]) -> Iterator[Row]:
    """Store both images by every tool that finds what is equal."""
    images = stage.directory / "images"
    images.mkdir()
    files = images / "files"
    stage_files(files, size)
    one = _image(images, "one", size)
    _change(files)
    other = _image(images, "other", size)
    shutil.rmtree(files)
    for tool in tools:
        if isinstance(tool, DeduplicatingTool):
            directory = stage.directory / tool.name
            directory.mkdir()
            yield _row(replace(stage, directory=directory), tool, one, other)
            shutil.rmtree(directory)


def _row(stage: Stage, tool: DeduplicatingTool, one: Path, other: Path) -> Row:
    repository = tool.repository(stage)
    sizes = [stored(repository.path)]
    for name, image in (("one", one), ("other", other)):
        disk = stage.directory / image.name
        shutil.copyfile(image, disk)
        done = repository.back_up(disk, name)
        disk.unlink()
        sizes.append(stored(repository.path))
    first, second = sizes[1] - sizes[0], sizes[2] - sizes[1]
    details = {"bytes_stored_first": first, "second_by_first": round(second / first, 3)}
    return stage.row(
        tool.name, "two_similar", done, bytes_read=done.rchar, bytes_stored=second, details=details
    )


def _image(images: Path, name: str, size: int) -> Path:
    raw, image = fill_image(images, name, images / "files", size)
    raw.unlink()
    return image


def _change(files: Path) -> None:
    """Make some of the files longer at their beginning."""
    source = random.Random(1)
    paths = sorted(path for path in files.rglob("*") if path.is_file())
    for path in source.sample(paths, max(1, round(len(paths) * _FRACTION))):
        path.write_bytes(source.randbytes(_SHIFT) + path.read_bytes())
