"""A fact: a value somebody told at some moment, or the reason why nobody could."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Generic, NoReturn, TypeVar

T = TypeVar("T", covariant=True)


class Source(StrEnum):
    """Who tells facts."""

    LIBVIRT = "libvirt"
    HOST = "host"
    GUEST = "guest"
    CATALOG = "catalog"
    VAULT = "vault"


class NotKnown(Exception):
    """A check needs a fact that nobody could tell; the check has no answer then."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Known(Generic[T]):
    """What ``source`` told at ``taken``."""

    value: T
    source: Source
    taken: datetime

    def get(self) -> T:
        """The value."""
        return self.value


@dataclass(frozen=True)
class Unknown:
    """``source`` did not tell; ``reason`` is a sentence for people."""

    reason: str
    source: Source
    taken: datetime

    def get(self) -> NoReturn:
        """Raise NotKnown."""
        raise NotKnown(self.reason)


Fact = Known[T] | Unknown
