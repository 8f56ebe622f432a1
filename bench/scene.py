"""What a measurement finds: a directory of its own, help to stay fair; tools also image and changes."""

import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.image import Image, warm
from bench.measure import BenchError, Measured, measure
from bench.rows import Row
from overwinter.vault.reserve import RESERVE
from testkit.runs import Run


@dataclass(frozen=True)
class Stage:
    """One turn.

    ``directory`` is empty at its begin and removed at its end; ``run`` gives names to domains.
    """

    run: Run
    directory: Path
    say: Callable[[str], None]

    def measure(
        self,
        command: Sequence[str | Path],
        *,
        reads: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Measured:
        """Measure a command that finds ``reads`` in the page cache."""
        if reads is not None:
            warm(reads)
        return measure(command, cwd=self.directory, durable=self.directory, environment=environment)

    def row(
        self,
        tool: str,
        what: str,
        measured: Measured,
        *,
        bytes_read: int | None,
        bytes_stored: int | None = None,
        details: Mapping[str, float] | None = None,
    ) -> Row:
        """The row of a measured command, told to whoever watches."""
        seconds, peak = round(measured.seconds, 3), measured.peak_rss_bytes
        row = Row(tool, what, seconds, bytes_read, bytes_stored, peak, details or {})
        self.say(f"{tool:24} {what:20} {row.seconds:8.2f} s {row.peak_rss_bytes / 1e6:8.0f} MB")
        return row


@dataclass(frozen=True)
class Scene(Stage):
    """One tool's turn with the image and the changes to make in it."""

    image: Image
    pieces: list[int]

    def working_copy(self) -> Path:
        """A copy of the image that the tool may have changed in place."""
        copy = self.directory / "disk.qcow2"
        shutil.copyfile(self.image.path, copy)
        return copy

    def check_restored(self, restored: Path, image_format: str, truth: Path) -> None:
        """Compare a restored image with the qcow2 image it must equal, and remove it.

        A fast restore of wrong data is worth nothing. Raises ``BenchError``.
        """
        formats = ["-f", image_format, "-F", "qcow2"]
        command = ["qemu-img", "compare", "-U", *formats, str(restored), str(truth)]
        compared = subprocess.run(command, capture_output=True, text=True, check=False)
        if compared.returncode:
            raise BenchError(f"{restored} is not what was backed up: {compared.stdout}{compared.stderr}")
        restored.unlink()


def stored(repository: Path) -> int:
    """Bytes of all files in a repository; not the room that a vault holds back for a full disk."""
    files = (path for path in repository.rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files if path != repository / RESERVE)
