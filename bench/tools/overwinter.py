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
from bench.scene import Scene, stored
from bench.tools.base import Tool
from overwinter.vault import KeySource, create_vault

#: Where ``python -m`` finds this package.
_ROOT = Path(__file__).parents[2]


class Overwinter(Tool):
    """Each step is a fresh process running ``bench.step``."""

    name = "overwinter"

    def describe(self) -> dict[str, object]:
        """See ``Tool``."""
        commit = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty"]
        return {
            "version": subprocess.run(commit, check=False, capture_output=True, text=True).stdout.strip(),
            "settings": "defaults: chunks of 256 KiB, zstd 1 over 4 MiB, AES-256-GCM, key file, local vault",
            "variants": {
                "overwinter": "unchanged and changed1 read what the new overlay holds; restore makes a qcow2",
                "overwinter-full-compare": "the chain is not known: everything is read and hashed again, as"
                " restic and borg always do",
                "overwinter-raw": "restore into a raw file",
            },
        }

    def rows(self, scene: Scene) -> Iterator[Row]:
        """See ``Tool``."""
        vault, key = scene.directory / "vault", scene.directory / "key"
        create_vault(vault.as_uri(), KeySource.new_key_file(key), vault_id=uuid4()).close()

        def step(reads: Path, *arguments: str | Path) -> Measured:
            command = ["env", f"--chdir={_ROOT}", sys.executable, "-m", "bench.step"]
            return scene.measure([*command, vault, key, *arguments], reads=reads)

        def backup(what: What, chain: list[Path], *options: str, tool: str = self.name) -> Row:
            before = stored(vault)
            done = step(scene.image.path, "backup", *options, *chain)
            grown = stored(vault) - before
            bytes_read = json.loads(done.output)["bytes_read"]
            return scene.row(tool, what, done, bytes_read=bytes_read, bytes_stored=grown)

        def restore(image_format: str, tool: str) -> Row:
            restored = scene.directory / f"restored.{image_format}"
            done = step(scene.image.path, "restore", "--point=changed1", f"--format={image_format}", restored)
            row = scene.row(tool, "restore", done, bytes_read=done.rchar)
            scene.check_restored(restored, image_format, chain[0])
            return row

        chain = [scene.image.path]
        yield backup("first", chain, "--point=first")
        chain = [_overlay(scene.directory / "1.qcow2", chain[0]), *chain]
        yield backup("unchanged", chain, "--point=unchanged", "--parent=first")
        yield backup("unchanged", chain, "--point=compared", tool="overwinter-full-compare")
        chain = [_overlay(scene.directory / "2.qcow2", chain[0]), *chain]
        overwrite(chain[0], scene.pieces)
        yield backup("changed1", chain, "--point=changed1", "--parent=unchanged")
        yield restore("qcow2", self.name)
        yield restore("raw", "overwinter-raw")


def _overlay(path: Path, backing: Path) -> Path:
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(backing), str(path)]
    subprocess.run(command, check=True)
    return path
