"""What the vault asks of any place where objects lie: a few operations on write-once objects."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

Buffer = bytes | bytearray | memoryview

#: Directory of what is no object of the vault: files being written, the probe. Never listed, never read.
UNFINISHED = "tmp"


@dataclass(frozen=True)
class StoredObject:
    """Name and size in bytes of one object."""

    name: str
    size: int


class Storage(Protocol):
    """Write-once objects under slash-separated names of lower-case letters, digits, ``-`` and ``.``.

    Every method raises ``VaultError`` when the storage does not answer. All methods may be called from any
    thread.
    """

    @property
    def reads_at_once(self) -> int:
        """How many small reads are best under way together: 1 where an answer takes no longer than asking."""

    def put(self, name: str, parts: Sequence[Buffer]) -> None:
        """Store ``parts`` as a new object; when this returns it is durable, and it never exists in part.

        ``parts`` are not kept: the caller may reuse its buffers. Of several writers of one name exactly one
        succeeds. Raises ``AlreadyExists`` when the name is taken and ``VaultStorageFull`` when there is no
        room. After any other ``VaultError`` the object may exist or not. A storage behind a network cannot
        tell content equal to what lies there from a put of its own whose answer was lost, and takes it for
        that: what must have one winner must differ between writers (sealed objects do, by their salt).
        """

    def get(self, name: str) -> bytes:
        """The whole object. Raises ``VaultObjectMissing``."""

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes, at least one, from ``offset``.

        Raises ``VaultObjectMissing``, or ``VaultDataCorrupt`` when the object ends before that.
        """

    def list(self, prefix: str) -> list[StoredObject]:
        """All finished objects whose name starts with ``prefix`` (a directory path or empty), by name.

        What it tells is durable, also when the process that stored it died before it knew.
        """

    def delete(self, names: Sequence[str]) -> None:
        """Remove objects, durably; a name that is not there is no error."""

    def discard_unfinished(self) -> None:
        """Remove what writers that died left behind."""

    def use_reserve(self, part: float = 1.0) -> AbstractContextManager[None]:
        """Work that frees room: its puts may take ``part`` of what is held back for such work, if anything.

        Of work in other threads it holds for what runs in a copy of this context.
        """

    def room(self) -> int | None:
        """Bytes that the present work can still store; null where no bound is known."""
