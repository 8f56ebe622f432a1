"""restic with its defaults, the image as one file."""

from collections.abc import Iterator
from pathlib import Path

from bench.changes import overwrite
from bench.measure import Measured
from bench.rows import Row, What
from bench.scene import Scene, Stage, stored
from bench.tools.base import DeduplicatingTool, Repository, words_of


class ResticRepository(Repository):
    """A local repository of format 2, which compresses, with a password file."""

    def __init__(self, stage: Stage) -> None:
        self.path = stage.directory / "repository"
        self._stage = stage
        password = stage.directory / "password"
        password.write_text("a password for the benchmark\n")
        self._environment = {
            "RESTIC_REPOSITORY": str(self.path),
            "RESTIC_PASSWORD_FILE": str(password),
            "RESTIC_CACHE_DIR": str(stage.directory / "cache"),
        }
        stage.measure(["restic", "init"], environment=self._environment)

    def back_up(self, disk: Path, name: str) -> Measured:
        """See ``Repository``."""
        command = ["restic", "backup", "--tag", name, disk.name]
        return self._stage.measure(command, reads=disk, environment=self._environment)

    def restore_latest(self, target: Path, reads: Path) -> Measured:
        """Put the image of the last backup into a directory, with ``reads`` in the page cache."""
        command = ["restic", "restore", "latest", "--target", str(target)]
        return self._stage.measure(command, reads=reads, environment=self._environment)


class Restic(DeduplicatingTool):
    """Each backup a snapshot."""

    name = "restic"

    def describe(self) -> dict[str, object]:
        """See ``Tool``."""
        return {
            "version": words_of("restic", "version"),
            "settings": "defaults: content-defined chunks, compression auto, AES-256-CTR; local repository",
        }

    def repository(self, stage: Stage) -> ResticRepository:
        """See ``DeduplicatingTool``."""
        return ResticRepository(stage)

    def rows(self, scene: Scene) -> Iterator[Row]:
        """See ``Tool``."""
        disk, target = scene.working_copy(), scene.directory / "restored"
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
        done = repository.restore_latest(target, reads=disk)
        yield scene.row(self.name, "restore", done, bytes_read=done.rchar)
        scene.check_restored(target / disk.name, "qcow2", disk)
