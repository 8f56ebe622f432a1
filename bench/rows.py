"""One figure of the benchmark: what a tool took for a step. Every tool yields these."""

from dataclasses import dataclass
from typing import Literal

What = Literal["first", "unchanged", "changed1", "restore"]


@dataclass(frozen=True)
class Row:
    """One measured step.

    ``bytes_read`` is null where it cannot be told honestly; ``bytes_stored`` is the growth of the repository
    in bytes, null for a restore.
    """

    tool: str
    what: What
    seconds: float
    bytes_read: int | None
    bytes_stored: int | None
    peak_rss_bytes: int
