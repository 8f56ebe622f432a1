"""What the demonstration found: as a table for people and as ``demo-report.json`` for programs."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass
class BackupRow:
    """One backup. ``kind`` is full or incremental; sizes in bytes; the freeze in milliseconds."""

    kind: str
    bytes_read: int
    bytes_stored: int
    freeze_ms: int | None
    consistency: str
    seconds: float


@dataclass
class RestoreRow:
    """One restore, and whether disks and files are what they were."""

    name: str
    bytes_equal: bool
    files_equal: bool
    booted: bool
    seconds: float


@dataclass
class UnprotectRow:
    """Whether the VM has its original disk files again, and how many overlay files are left."""

    original_files: bool
    overlays_left: int


@dataclass
class Report:
    """The whole demonstration."""

    accelerator: str
    seconds: float = 0.0
    backups: list[BackupRow] = field(default_factory=list)
    restores: list[RestoreRow] = field(default_factory=list)
    unprotect: UnprotectRow | None = None
    mismatches: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything was done and everything is as it must be."""
        return not self.mismatches and self.unprotect is not None

    def expect(self, what: str, holds: bool) -> bool:
        """Note a mismatch unless ``holds``."""
        if not holds:
            self.mismatches.append(what)
        return holds

    def write(self, path: Path) -> None:
        """Write the JSON report."""
        path.write_text(json.dumps({"ok": self.ok, **asdict(self)}, indent=1) + "\n")

    def show(self, console: Console) -> None:
        """Print the tables a newcomer reads."""
        backups = Table("BACKUP", "READ", "STORED", "GUEST FROZEN", "CONSISTENCY", "TOOK", title="Backups")
        for b in self.backups:
            frozen = "not at all" if b.freeze_ms is None else f"{b.freeze_ms} ms"
            backups.add_row(
                b.kind, _size(b.bytes_read), _size(b.bytes_stored), frozen, b.consistency, _time(b.seconds)
            )
        restores = Table("RESTORED AS", "DISKS EQUAL", "BOOTED", "FILES EQUAL", "TOOK", title="Restores")
        for r in self.restores:
            restores.add_row(
                r.name, _yes(r.bytes_equal), _yes(r.booted), _yes(r.files_equal), _time(r.seconds)
            )
        console.print()
        console.print(backups)
        console.print(restores)
        if self.unprotect is not None:
            console.print(
                f"After unprotect: original disk files in use: {_yes(self.unprotect.original_files)}, "
                f"overlays left: {self.unprotect.overlays_left}"
            )
        for mismatch in self.mismatches:
            console.print(f"[red]MISMATCH: {mismatch}[/red]")
        verdict = "Everything that was backed up came back." if self.ok else "The demonstration FAILED."
        console.print(f"{verdict} ({_time(self.seconds)}, QEMU accelerator: {self.accelerator})")


def _size(count: int) -> str:
    return f"{count / (1 << 20):.1f} MiB"


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s"


def _yes(value: bool) -> str:
    return "[green]yes[/green]" if value else "[red]NO[/red]"
