"""One figure of the benchmark: what a tool took for a step. Everything that measures yields these."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

#: The steps that every backup program takes.
What = Literal["first", "unchanged", "changed1", "restore"]


@dataclass(frozen=True)
class Row:
    """One measured step.

    ``bytes_read`` is null where it cannot be told honestly; ``bytes_stored`` is the growth of the repository
    in bytes, null for a restore. ``details`` are further figures of this step, by name.
    """

    tool: str
    what: str
    seconds: float
    bytes_read: int | None
    bytes_stored: int | None
    peak_rss_bytes: int
    details: Mapping[str, float] = field(default_factory=dict)

    def document(self) -> dict[str, object]:
        """The row as it is printed: details beside the other fields."""
        fields = asdict(self)
        del fields["details"]
        return fields | dict(self.details)
