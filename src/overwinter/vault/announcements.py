"""Sessions that everybody can see: who relies on the vault's packs now, and how a dead one is ended.

A session is an object under ``sessions/`` that its writer puts before it relies on anything, and removes at
its end. While it is there, collection deletes nothing that the session may have found. A writer that died
leaves its object; whoever takes a session for dead ends it by taking the name that its commit would need.
Signs of life, small objects beside the session's, serve for that judgement alone: a wrong one costs the
writer its work, and nobody any data.
"""

import threading
import time
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from types import TracebackType

from overwinter.model.errors import (
    AlreadyExists,
    VaultDataCorrupt,
    VaultError,
    VaultFormatUnsupported,
    VaultObjectMissing,
)
from overwinter.vault import control
from overwinter.vault.blobs import BlobStore
from overwinter.vault.presence import Presence
from overwinter.vault.seal import ObjectKind

_PREFIX = "sessions/"


@dataclass(frozen=True)
class Timing:
    """Seconds: between signs of life, that a collection waits for one, and between its looks."""

    beat: float = 60.0
    patience: float = 300.0
    poll: float = 1.0


DEFAULT_TIMING = Timing()


@dataclass(frozen=True)
class OpenSession:
    """A session as others see it. ``commit`` is the name its manifest would get, empty for a collection."""

    id: str
    presence: Presence
    commit: str


class Announcement(AbstractContextManager["Announcement"]):
    """Our own session; visible to everybody from the beginning of the ``with`` statement to its end."""

    def __init__(self, blobs: BlobStore, presence: Presence, commit: str, timing: Timing) -> None:
        self.id = blobs.random(8).hex()
        self._blobs = blobs
        self._presence = presence
        self._commit = commit
        self._timing = timing
        self._name = f"{_PREFIX}{self.id}"
        self._beats = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, name="vault-beat", daemon=True)

    def __enter__(self) -> "Announcement":
        self._blobs.remove_leftovers()
        value = {"presence": self._presence.to_json(), "commit": self._commit}
        control.put(self._blobs, ObjectKind.SESSION, self._name, value)
        control.see_listed(self._blobs, self._name)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self._blobs.leftovers += [self._beat_name(), self._name]
        with suppress(VaultError):  # tried again with the next session; the work itself has ended well
            self._blobs.remove_leftovers()

    def _live(self) -> None:
        while not self._ended.wait(self._timing.beat):
            # Without signs of life the session may be ended; its commit says so then.
            with suppress(VaultError):
                last = self._beat_name()
                self._beats += 1
                control.put(self._blobs, ObjectKind.SESSION, self._beat_name(), {})
                self._blobs.storage.delete([last])

    def _beat_name(self) -> str:
        return f"{self._name}.{self._beats}"


def open_sessions(blobs: BlobStore) -> Iterator[OpenSession]:
    """Every session that is visible now. Raises ``VaultDataCorrupt``."""
    for stored in blobs.storage.list(_PREFIX):
        if "." in stored.name:
            continue
        try:
            value = control.get(blobs, ObjectKind.SESSION, stored.name)
        except VaultObjectMissing:
            continue  # ended just now
        yield OpenSession(
            id=stored.name.removeprefix(_PREFIX),
            presence=Presence.from_json(value.get("presence")),
            commit=control.text(value, "commit"),
        )


def end_dead(blobs: BlobStore, ids: Collection[str], timing: Timing) -> list[OpenSession]:
    """End the dead ones of some sessions; gives those that are alive.

    Waits up to ``timing.patience`` for signs of life from other machines.
    """
    alive: list[OpenSession] = []
    elsewhere: list[OpenSession] = []
    for session in open_sessions(blobs):
        if session.id not in ids:
            continue
        if not session.presence.is_here():
            elsewhere.append(session)
        elif session.presence.is_alive():
            alive.append(session)
        else:
            fence(blobs, session)
    before = _signs(blobs)
    until = time.monotonic() + timing.patience
    while elsewhere:
        now = _signs(blobs)
        alive += [session for session in elsewhere if now.get(session.id, "") != before.get(session.id, "")]
        elsewhere = [session for session in elsewhere if now.get(session.id) == before.get(session.id)]
        if time.monotonic() >= until:
            break
        time.sleep(min(timing.poll, timing.patience))
    for session in elsewhere:
        fence(blobs, session)
    return alive


def end_predecessors(blobs: BlobStore, commit: str) -> None:
    """End sessions of dead processes of this machine that would commit as ``commit``.

    Who begins one for the same point does so first: a collection that ended them later would take that name
    from the living, too.
    """
    with suppress(VaultDataCorrupt, VaultFormatUnsupported):  # collections refuse these; backups need not
        for session in open_sessions(blobs):
            presence = session.presence
            if session.commit == commit and presence.is_here() and not presence.is_alive():
                fence(blobs, session)


def fence(blobs: BlobStore, session: OpenSession) -> None:
    """End a session: from now on it cannot commit. One that has committed already stays committed."""
    if session.commit:
        with suppress(AlreadyExists):
            control.put(blobs, ObjectKind.TOMBSTONE, session.commit, {})
    remove(blobs, session.id)


def remove(blobs: BlobStore, session_id: str) -> None:
    """Remove a session's objects, its own last."""
    names = [stored.name for stored in blobs.storage.list(_PREFIX)]
    name = f"{_PREFIX}{session_id}"
    blobs.storage.delete([found for found in names if found.startswith(f"{name}.")])
    blobs.storage.delete([name])


def remove_stray_signs(blobs: BlobStore) -> None:
    """Remove signs of life of sessions that have been ended."""
    names = {stored.name for stored in blobs.storage.list(_PREFIX)}
    blobs.storage.delete([name for name in sorted(names) if "." in name and name.split(".")[0] not in names])


def _signs(blobs: BlobStore) -> dict[str, str]:
    """For each visible session its newest sign of life, empty when it has given none yet."""
    signs: dict[str, str] = {}
    for stored in blobs.storage.list(_PREFIX):
        session, _, beat = stored.name.removeprefix(_PREFIX).partition(".")
        signs[session] = beat
    return signs
