"""borg with the chunker its manual gives for disk images, the image as one file."""

from collections.abc import Iterator
from pathlib import Path

from bench.changes import overwrite
from bench.measure import Measured
from bench.rows import Row, What
from bench.scene import Scene, Stage, stored
from bench.tools.base import DeduplicatingTool, Repository, words_of

#: Blocks of 4 MiB: the borg manual's choice for disk images, and the cheapest for the processor.
_CHUNKER = "fixed,4194304"

_COMPRESSION = "zstd,1"
_ENCRYPTION = "repokey-blake2"


class BorgRepository(Repository):
    """A local, encrypted repository."""

    def __init__(self, stage: Stage) -> None:
        self.path = stage.directory / "repository"
        self._stage = stage
        self._environment = {
            "BORG_REPO": str(self.path),
            "BORG_PASSPHRASE": "a passphrase for the benchmark",
            "BORG_BASE_DIR": str(stage.directory / "base"),
        }
        stage.measure(["borg", "init", f"--encryption={_ENCRYPTION}"], environment=self._environment)

    def back_up(self, disk: Path, name: str) -> Measured:
        """See ``Repository``."""
        options = [f"--compression={_COMPRESSION}", f"--chunker-params={_CHUNKER}"]
        create = ["borg", "create", *options, f"::{name}", disk.name]
        return self._stage.measure(create, reads=disk, environment=self._environment)

    def restore(self, name: str, target: Path, reads: Path) -> Measured:
        """Put the image of a backup into a directory, with ``reads`` in the page cache."""
        extract = ["env", f"--chdir={target}", "borg", "extract", f"::{name}"]
        return self._stage.measure(extract, reads=reads, environment=self._environment)


class Borg(DeduplicatingTool):
    """Each backup an archive."""

    name = "borg"

    def describe(self) -> dict[str, object]:
        """See ``Tool``."""
        settings = f"--encryption={_ENCRYPTION} --compression={_COMPRESSION} --chunker-params={_CHUNKER}"
        return {"version": words_of("borg", "--version"), "settings": settings}

    def repository(self, stage: Stage) -> BorgRepository:
        """See ``DeduplicatingTool``."""
        return BorgRepository(stage)

    def rows(self, scene: Scene) -> Iterator[Row]:
        """See ``Tool``."""
        disk, target = scene.working_copy(), scene.directory / "restored"
        target.mkdir()
        repository = self.repository(scene)

        def backup(what: What) -> Row:
            disk.touch()  # as the image of a running VM: never unmodified by its times
            before = stored(repository.path)
            done = repository.back_up(disk, what)
            grown = stored(repository.path) - before
            return scene.row(self.name, what, done, bytes_read=done.rchar, bytes_stored=grown)

        yield backup("first")
        yield backup("unchanged")
        overwrite(disk, scene.pieces)
        yield backup("changed1")
        done = repository.restore("changed1", target, reads=disk)
        yield scene.row(self.name, "restore", done, bytes_read=done.rchar)
        scene.check_restored(target / disk.name, "qcow2", disk)
