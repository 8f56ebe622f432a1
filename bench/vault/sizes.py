"""How large everything is that is measured. A scale below 1 makes a trial of the same shape."""

from dataclasses import asdict, dataclass

from testkit.disks import MIB

GIB = 1024 * MIB
TIB = 1024 * GIB


@dataclass(frozen=True)
class Sizes:
    """Bytes of disks and files, and numbers of things."""

    files: int = 4_500_000_000
    sparse_disk: int = 6 * TIB
    changed_disk: int = 100 * GIB
    index_data: int = TIB
    index_backup: int = 256 * MIB
    chunks: int = 10_000_000
    points: int = 1000
    machines: int = 20
    series_disk: int = 4 * GIB
    series_increments: int = 60

    def scaled(self, scale: float) -> "Sizes":
        """The same with all but the files multiplied by ``scale``, as far as the shape stays."""

        def disk(size: int) -> int:
            return max(64, round(size * scale) // MIB) * MIB

        return Sizes(
            files=self.files,
            sparse_disk=disk(self.sparse_disk),
            changed_disk=disk(self.changed_disk),
            index_data=disk(self.index_data),
            index_backup=disk(self.index_backup),
            chunks=max(20_000, round(self.chunks * scale)),
            points=max(12, round(self.points * scale)),
            machines=max(2, round(self.machines * scale)),
            series_disk=disk(self.series_disk),
            series_increments=max(10, round(self.series_increments * scale)),
        )

    def document(self) -> dict[str, int]:
        """For the conditions of the report."""
        return asdict(self)
