"""Keeping collections away for a while: a numbered collection that removes nothing.

While its session is open no other one begins. Should its process die, the next collection gives it up.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from overwinter.model.errors import AlreadyExists, VaultCollectionInProgress
from overwinter.vault import generations
from overwinter.vault.announcements import Announcement, Timing, end_dead, open_sessions
from overwinter.vault.blobs import BlobStore
from overwinter.vault.pack import pack_name
from overwinter.vault.presence import Presence
from overwinter.vault.structure import DAMAGES


@contextmanager
def no_collection(blobs: BlobStore, presence: Presence, timing: Timing) -> Iterator[None]:
    """No collection removes anything meanwhile, not even what one has doomed before.

    Works without an index, and when objects of a collection cannot be read. Raises
    ``VaultCollectionInProgress`` when one is under way, or when it cannot be told and others are at work.
    """
    with Announcement(blobs, presence, "", timing) as own:
        number = _ended_last(blobs, own.id, timing) + 1
        try:
            generations.begin(blobs, number, own.id)
        except AlreadyExists as error:
            raise VaultCollectionInProgress(
                "Another process has just begun to collect garbage in this vault; nothing was changed."
            ) from error
        generations.remove_before(blobs, number)
        yield
        generations.put_end(blobs, number, ())


def _ended_last(blobs: BlobStore, own: str, timing: Timing) -> int:
    """The number of the last collection, after its end and what it decided are carried out; 0: none."""
    try:
        last = generations.newest(blobs)
    except DAMAGES as error:
        others = {session.id for session in open_sessions(blobs)} - {own}
        if end_dead(blobs, others, timing):
            raise VaultCollectionInProgress(
                f"It cannot be told how far a collection has come, and others use the vault: {error.message} "
                "Try again when no backup and no collection runs."
            ) from error
        number = generations.highest(blobs)
        with suppress(*DAMAGES):  # what cannot be read has no say any more: nobody is left to go by it
            generations.put_end(blobs, number, ())
        return number
    if last is None:
        return 0
    ended = last.ended
    if ended is None:
        alive = False
        if last.doom is None:
            with suppress(*DAMAGES):  # some session cannot be read; should it be alive, it will find its end
                alive = bool(end_dead(blobs, {last.owner}, timing))
        if alive:
            raise VaultCollectionInProgress(
                "Another process is collecting garbage in this vault; nothing was changed. Wait for it."
            )
        ended = generations.put_end(blobs, last.number, ())
    blobs.storage.delete([pack_name(pack) for pack in sorted(ended)])
    return last.number
