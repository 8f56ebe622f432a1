"""A vault's objects in S3 or Azure Blob storage.

Everything rests on one promise of the store: of all puts that say "only if there is none"
(``If-None-Match: *``) for one name, exactly one succeeds. Every object is one such request and never a
multipart upload, so that it appears whole or not at all.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import AzureStore, S3Store

from overwinter.model.errors import AlreadyExists, VaultDataCorrupt, VaultError, VaultObjectMissing
from overwinter.vault.storage.connection import FIRST_PAUSE, LONGEST_PAUSE, PATIENCE, Patience, connect
from overwinter.vault.storage.failures import REQUEST_FAILED, failure, lost
from overwinter.vault.storage.interface import UNFINISHED, Buffer, StoredObject
from overwinter.vault.storage.location import AzureLocation, S3Location

#: Object by which a store shows that it honours conditional puts; written once and never removed.
_PROBE = f"{UNFINISHED}/probe"

#: Objects removed in one request: what Azure takes at most; S3 takes more.
_DELETE_BATCH = 256


#: Small reads under way together. Each waits for a round trip, and a store serves many at a time.
_READS_AT_ONCE = 16

Result = TypeVar("Result")


class _Undecided(Exception):
    """The store answered, but not whether the object is there; another attempt will tell."""


class ObjectStorage:
    """A prefix of a bucket or container; opening it asks nothing of the store."""

    def __init__(
        self,
        location: S3Location | AzureLocation,
        patience: Patience = PATIENCE,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Raises ``VaultError`` when credentials are missing."""
        self._where = location
        self._patience = patience
        self._random = random
        self._store: S3Store | AzureStore = connect(location, patience)
        self._probing = threading.Lock()
        self._trusted = False

    def put(self, name: str, parts: Sequence[Buffer]) -> None:
        """See ``Storage.put``. The first put asks whether the store honours conditional puts at all."""
        self._require_conditional_puts()
        # One copy: the client may hold on to the content for a moment after a failed request.
        if not self._create(name, b"".join(parts)):
            raise AlreadyExists(f"Vault object {name} exists already; it was not changed.")

    def get(self, name: str) -> bytes:
        """See ``Storage.get``."""
        return self._persist(name, lambda: obstore.get(self._store, name).bytes().to_bytes())

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """See ``Storage.get_range``."""
        data = self._persist(
            name, lambda: obstore.get_range(self._store, name, start=offset, length=length).to_bytes()
        )
        if len(data) != length:
            raise VaultDataCorrupt(f"Vault object {name} is shorter than it must be: it was truncated.")
        return data

    def list(self, prefix: str) -> list[StoredObject]:
        """See ``Storage.list``."""
        found = self._persist(prefix, lambda: obstore.list(self._store, prefix or None).collect())
        stored = (StoredObject(each["path"], each["size"]) for each in found)
        return sorted(
            (each for each in stored if not each.name.startswith(f"{UNFINISHED}/")),
            key=lambda each: each.name,
        )

    def delete(self, names: Sequence[str]) -> None:
        """See ``Storage.delete``."""
        for begin in range(0, len(names), _DELETE_BATCH):
            batch = names[begin : begin + _DELETE_BATCH]
            try:
                self._delete(batch)
            except VaultObjectMissing:
                # Azure takes a name that is not there for an error, and says nothing about the others.
                for name in batch:
                    with suppress(VaultObjectMissing):
                        self._delete([name])

    def discard_unfinished(self) -> None:
        """Nothing: an object is one request, so a writer that dies leaves no part of one behind."""

    def use_reserve(self, part: float = 1.0) -> AbstractContextManager[None]:  # noqa: ARG002
        """See ``Storage.use_reserve``: object stores hold nothing back."""
        return nullcontext()

    @property
    def reads_at_once(self) -> int:
        """See ``Storage.reads_at_once``."""
        return _READS_AT_ONCE

    def room(self) -> int | None:
        """See ``Storage.room``: an object store has no known bound."""
        return None

    def _delete(self, names: Sequence[str]) -> None:
        self._persist(names[0], lambda: obstore.delete(self._store, [*names]))

    def _create(self, name: str, content: bytes) -> bool:
        """Create an object, whatever is lost on the way; false when the name holds other content.

        Where the name is taken, the content tells whether an earlier attempt, of ours or of the client
        itself, succeeded and only its answer was lost.
        """

        def attempt() -> bool:
            try:
                obstore.put(self._store, name, content, mode="create", use_multipart=False)
            except AlreadyExistsError as error:
                try:
                    return self.get(name) == content
                except VaultObjectMissing:
                    # S3 also answers "conflict" while another put or a deletion of the name is under way.
                    raise _Undecided(str(error)) from error
            return True

        return self._persist(name, attempt)

    def _require_conditional_puts(self) -> None:
        """Refuse a store that lets a second put of a name succeed: two writers would destroy each other."""
        with self._probing:
            if self._trusted:
                return
            # Where the probe is there already, the first put has shown all there is to show.
            if self._create(_PROBE, self._random(16)) and self._create(_PROBE, self._random(16)):
                raise VaultError(
                    f"The {self._where} overwrites objects although it is asked not to "
                    "(If-None-Match: *). It cannot hold a vault; use a store that honours conditional puts."
                )
            self._trusted = True

    def _persist(self, name: str, attempt: Callable[[], Result]) -> Result:
        """Repeat ``attempt`` while answers are lost and there is time; errors become those of the house.

        ``obstore`` itself repeats what surely had no effect or can be repeated, and what the store refused
        for the moment (5xx, 429); not puts without an answer, nor lists that break off.
        """
        give_up = time.monotonic() + self._patience.retry
        pause = FIRST_PAUSE
        while True:
            try:
                return attempt()
            except (_Undecided, *REQUEST_FAILED) as error:
                again = isinstance(error, _Undecided) or lost(error)
                if not again or time.monotonic() > give_up:
                    raise failure(error, self._where, name) from error
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
