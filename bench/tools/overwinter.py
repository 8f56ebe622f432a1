"""Overwinter by the path of a real backup, without the VM: frozen chains, a local vault with a key file.

Increments are read as in a real backup: each through a new overlay, the upper layer of its chain.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from bench.changes import overwrite
from bench.measure import Measured
from bench.rows import Row, What
from bench.scene import Scene, Stage, stored
from bench.tools.base import DeduplicatingTool, Repository
from overwinter.vault import KeySource, create_vault

#: Where ``python -m`` finds this package.
ROOT = Path(__file__).parents[2]


class Vault(Repository):
    """A local vault with a key file; each step on it is a fresh process of a module of ours."""

    def __init__(self, stage: Stage) -> None:
        self.path = stage.directory / "vault"
        self.key = stage.directory / "key"
        self._stage = stage
        create_vault(self.path.as_uri(), KeySource.new_key_file(self.key), vault_id=uuid4()).close()

    def step(self, module: str, *arguments: str | Path, reads: Path | None = None) -> Measured:
        """Run a module on the vault, with ``reads`` in the page cache."""
        command: list[str | Path] = ["env", f"--chdir={ROOT}", sys.executable, "-m", module]
        return self._stage.measure([*command, self.path, self.key, *arguments], reads=reads)

    def back_up(self, disk: Path, name: str) -> Measured:
        """See ``Repository``."""
        return self.back_up_chain([disk], name)

    def back_up_chain(self, chain: list[Path], name: str, parent: str | None = None) -> Measured:
        """Back up a chain of layers, top first; with ``parent`` only the top one is read.

        What it prints says how many bytes of the disk were read.
        """
        options = [f"--point={name}"] if parent is None else [f"--point={name}", f"--parent={parent}"]
        return self.step("bench.step", "backup", *options, *chain, reads=chain[-1])

    def restore(self, name: str, image_format: str, target: Path, reads: Path) -> Measured:
        """Restore the disk of a point into a new image."""
        return self.step(
            "bench.step", "restore", f"--point={name}", f"--format={image_format}", target, reads=reads
        )


class Overwinter(DeduplicatingTool):
    """Each backup a recovery point."""

    name = "overwinter"

    def describe(self) -> dict[str, object]:
        """See ``Tool``."""
        commit = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
        return {
            "version": subprocess.run(commit, check=False, capture_output=True, text=True).stdout.strip(),
            "settings": "defaults: chunks by content, zstd 1 over 4 MiB, AES-256-GCM, key file, local vault",
            "variants": {
                "overwinter": "unchanged and changed1 read what the new overlay holds; restore makes a qcow2",
                "overwinter-full-compare": "the chain is not known: everything is read and hashed again, as"
                " restic and borg always do",
                "overwinter-raw": "restore into a raw file",
            },
        }

    def repository(self, stage: Stage) -> Vault:
        """See ``DeduplicatingTool``."""
        return Vault(stage)

    def rows(self, scene: Scene) -> Iterator[Row]:
        """See ``Tool``."""
        vault = self.repository(scene)

        def backup(
            what: What, chain: list[Path], name: str, parent: str | None = None, tool: str = self.name
        ) -> Row:
            before = stored(vault.path)
            done = vault.back_up_chain(chain, name, parent)
            grown = stored(vault.path) - before
            return scene.row(tool, what, done, bytes_read=bytes_read(done), bytes_stored=grown)

        def restore(image_format: str, tool: str) -> Row:
            restored = scene.directory / f"restored.{image_format}"
            done = vault.restore("changed1", image_format, restored, reads=scene.image.path)
            row = scene.row(tool, "restore", done, bytes_read=done.rchar)
            scene.check_restored(restored, image_format, chain[0])
            return row

        chain = [scene.image.path]
        yield backup("first", chain, "first")
        chain = [overlay(scene.directory / "1.qcow2", chain[0]), *chain]
        yield backup("unchanged", chain, "unchanged", parent="first")
        yield backup("unchanged", chain, "compared", tool="overwinter-full-compare")
        chain = [overlay(scene.directory / "2.qcow2", chain[0]), *chain]
        overwrite(chain[0], scene.pieces)
        yield backup("changed1", chain, "changed1", parent="unchanged")
        yield restore("qcow2", self.name)
        yield restore("raw", "overwinter-raw")


def bytes_read(done: Measured) -> int:
    """How many bytes of the disk a backup has read."""
    return int(json.loads(done.output)["bytes_read"])


def overlay(path: Path, backing: Path) -> Path:
    """A new, empty qcow2 on top of another."""
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(backing), str(path)]
    subprocess.run(command, check=True)
    return path
