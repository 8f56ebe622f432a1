"""borg with the chunker its manual gives for disk images, the image as one file."""

from collections.abc import Iterator

from bench.changes import overwrite
from bench.rows import Row, What
from bench.scene import Scene, stored
from bench.tools.base import Tool, words_of

#: Blocks of 4 MiB: the borg manual's choice for disk images, and the cheapest for the processor.
_CHUNKER = "fixed,4194304"

_COMPRESSION = "zstd,1"
_ENCRYPTION = "repokey-blake2"


class Borg(Tool):
    """A local, encrypted repository."""

    name = "borg"

    def describe(self) -> dict[str, object]:
        """See ``Tool``."""
        settings = f"--encryption={_ENCRYPTION} --compression={_COMPRESSION} --chunker-params={_CHUNKER}"
        return {"version": words_of("borg", "--version"), "settings": settings}

    def rows(self, scene: Scene) -> Iterator[Row]:
        """See ``Tool``."""
        disk, repository = scene.working_copy(), scene.directory / "repository"
        target = scene.directory / "restored"
        target.mkdir()
        environment = {
            "BORG_REPO": str(repository),
            "BORG_PASSPHRASE": "a passphrase for the benchmark",
            "BORG_BASE_DIR": str(scene.directory / "base"),
        }
        scene.measure(["borg", "init", f"--encryption={_ENCRYPTION}"], reads=disk, environment=environment)
        options = [f"--compression={_COMPRESSION}", f"--chunker-params={_CHUNKER}"]

        def backup(what: What) -> Row:
            disk.touch()  # as the image of a running VM: never unmodified by its times
            before = stored(repository)
            create = ["borg", "create", *options, f"::{what}", disk.name]
            done = scene.measure(create, reads=disk, environment=environment)
            grown = stored(repository) - before
            return scene.row(self.name, what, done, bytes_read=done.rchar, bytes_stored=grown)

        yield backup("first")
        yield backup("unchanged")
        overwrite(disk, scene.pieces)
        yield backup("changed1")
        extract = ["env", f"--chdir={target}", "borg", "extract", "::changed1"]
        done = scene.measure(extract, reads=disk, environment=environment)
        yield scene.row(self.name, "restore", done, bytes_read=done.rchar)
        scene.check_restored(target / disk.name, "qcow2", disk)
