"""restic with its defaults, the image as one file."""

from collections.abc import Iterator

from bench.changes import overwrite
from bench.rows import Row, What
from bench.scene import Scene, stored
from bench.tools.base import Tool, words_of


class Restic(Tool):
    """A local repository of format 2, which compresses, with a password file."""

    name = "restic"

    def describe(self) -> dict[str, object]:
        """See ``Tool``."""
        return {
            "version": words_of("restic", "version"),
            "settings": "defaults: content-defined chunks, compression auto, AES-256-CTR; local repository",
        }

    def rows(self, scene: Scene) -> Iterator[Row]:
        """See ``Tool``."""
        disk, repository = scene.working_copy(), scene.directory / "repository"
        password, target = scene.directory / "password", scene.directory / "restored"
        password.write_text("a password for the benchmark\n")
        environment = {
            "RESTIC_REPOSITORY": str(repository),
            "RESTIC_PASSWORD_FILE": str(password),
            "RESTIC_CACHE_DIR": str(scene.directory / "cache"),
        }
        scene.measure(["restic", "init"], reads=disk, environment=environment)

        def backup(what: What) -> Row:
            disk.touch()  # as the image of a running VM: never unmodified by its times
            before = stored(repository)
            done = scene.measure(["restic", "backup", disk.name], reads=disk, environment=environment)
            grown = stored(repository) - before
            return scene.row(self.name, what, done, bytes_read=done.rchar, bytes_stored=grown)

        yield backup("first")
        yield backup("unchanged")
        overwrite(disk, scene.pieces)
        yield backup("changed1")
        restore = ["restic", "restore", "latest", "--target", str(target)]
        done = scene.measure(restore, reads=disk, environment=environment)
        yield scene.row(self.name, "restore", done, bytes_read=done.rchar)
        scene.check_restored(target / disk.name, "qcow2", disk)
