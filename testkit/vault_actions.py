"""What hosts do with a shared vault, and what the model learns from how it went.

An action whose storage failed, or that was killed, may have done its work or not. All else must be right.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from random import Random

from overwinter.model.errors import (
    AlreadyExists,
    NotFound,
    OverwinterError,
    VaultCollectionInProgress,
    VaultKeyWrong,
    VaultObjectMissing,
    VaultPointLocked,
    VaultSessionEnded,
)
from overwinter.vault import Manifest, VerifyReport
from overwinter.vault.copy import copy_points
from overwinter.vault.rebuild import rebuild_index_on
from testkit.lockstep import current
from testkit.tiny_vaults import NOW, add_key, back_up, key, read, remove_key, repair
from testkit.vault_check import PointLost, Unusable, WrongData
from testkit.vault_hosts import Host
from testkit.vault_model import Is, Model, Sight

#: Points deleted for days can be had back for so long, and locks are for longer.
_KEPT = timedelta(days=14)
_LOCKED = timedelta(days=30)

#: A reader reads so many of the listed points.
_READ = 3


class Actions:
    """The actions of one host; each is the work of one task. Raises ``BrokenPromise``."""

    def __init__(self, host: Host, model: Model, random: Random) -> None:
        self._host = host
        self._model = model
        self._random = random

    def back_up(self, name: str, parent: str | None) -> None:
        """Add a point, or try again to."""
        point, since = self._model.points[name], self._model.sight()
        below = None
        if parent is not None and (manifest := self._model.points[parent].manifest) is not None:
            below = manifest, self._model.points[parent].disks
        again = point.changes > 0
        point.elsewhere |= not self._host.is_here
        elsewhere = point.elsewhere  # a tombstone for who tried before may meet who tries now
        with self._trouble():
            point.now(Is.OPEN, Is.OPEN)
            try:
                point.manifest = back_up(self._host.store, name, point.disks, below)
            except VaultSessionEnded as error:
                if not elsewhere:
                    self._may_be_ended(error)
                point.now(Is.GONE, Is.GONE)
            except VaultObjectMissing:
                if parent is None or self._is_there(parent, since):
                    raise
                if not again:
                    point.now(Is.GONE, Is.GONE)
            else:
                point.now(Is.THERE, Is.THERE)

    def delete(self, name: str, *, for_days: bool) -> None:
        """Delete a point, at once or so that it can be had back."""
        point = self._model.points[name]
        listed, kept = point.listed, point.kept
        point.deleted = True
        with self._trouble():
            if point.locked is not Is.THERE:
                point.now(Is.OPEN, kept if for_days else Is.OPEN)
            try:
                self._host.store.delete_point(name, now=NOW, until=NOW + _KEPT if for_days else None)
            except VaultPointLocked as error:
                if point.locked is Is.GONE:
                    raise Unusable(f"point {name} was never locked: {error.message}") from error
                point.now(listed, kept)
            else:
                if point.locked is Is.THERE:
                    raise PointLost(f"point {name} was deleted, and is locked")
                point.now(Is.GONE, kept if for_days else Is.GONE)

    def undelete(self, name: str) -> None:
        """Have a deleted point back."""
        point = self._model.points[name]
        with self._trouble():
            point.now(Is.OPEN, point.kept)
            try:
                self._host.store.undelete_point(name, now=NOW)
            except NotFound as error:
                if point.kept is Is.THERE:
                    raise PointLost(f"deleted point {name} cannot be had back: {error.message}") from error
                point.now(Is.GONE, Is.GONE)
            else:
                point.now(Is.THERE, Is.THERE)

    def lock(self, name: str) -> None:
        """Lock a point, perhaps while it is being deleted."""
        point, since = self._model.points[name], self._model.sight()
        if point.locked is Is.GONE:
            point.locked = Is.OPEN
        with self._trouble():
            try:
                self._host.store.lock_point(name, NOW + _LOCKED)
            except NotFound as error:
                if self._is_there(name, since):
                    raise PointLost(f"point {name} cannot be locked: {error.message}") from error
            else:
                if point.listed is Is.GONE:
                    raise PointLost(f"point {name} was locked, and is deleted")
                point.locked = Is.THERE

    def add_key(self, name: str) -> None:
        """Let one more key open the vault, which it may do already."""
        key = self._model.keys[name]
        with self._trouble():
            key.opens = Is.OPEN
            with suppress(AlreadyExists):
                add_key(self._host.storage, self._random, key.source)
            key.opens = Is.THERE

    def remove_key(self, name: str) -> None:
        """Let a key open the vault no longer."""
        key, opened = self._model.keys[name], self._model.keys[name].opens
        with self._trouble():
            key.opens = Is.OPEN
            try:
                remove_key(self._host.storage, self._random, key.source)
            except VaultKeyWrong as error:
                if opened is Is.THERE:
                    raise PointLost(f"{name} does not open the vault: {error.message}") from error
            key.opens = Is.GONE

    def collect(self) -> None:
        """Give back what no point needs."""
        with self._trouble(), self._alone():
            self._host.store.collect(now=NOW)

    def verify(self) -> None:
        """Find no damage: there is none."""
        with self._trouble():
            self._must_be_whole(self._host.store.verify(read_percent=self._random.choice([0, 30, 100])))

    def repair(self) -> None:
        """Repair what is whole: nothing is lost."""
        with self._trouble(), self._alone():
            report = repair(self._host.storage, self._random, self._host.presence)
            self._must_be_whole(report.verified)

    def copy(self) -> None:
        """Copy all points to a second vault."""
        since = self._model.sight()
        with self._trouble():
            try:
                copy_points(self._host.store, self._host.second)
            except VaultSessionEnded as error:
                self._may_be_ended(error)
            else:
                self._model.copied |= {name for name in since.listed if self._is_there(name, since)}

    def rebuild_index(self) -> None:
        """Make the index anew."""
        with self._trouble():
            rebuild_index_on(self._host.storage, "file:///vault", key(), self._random.randbytes)

    def read(self) -> None:
        """List the points and read some."""
        since = self._model.sight()
        with self._trouble():
            listed = self._host.store.manifests()
            self._check_listed(listed, since)
            for manifest in self._random.sample(listed, min(_READ, len(listed))):
                self._read(manifest, since)

    def _check_listed(self, listed: list[Manifest], since: Sight) -> None:
        found = {manifest.point_id for manifest in listed}
        for name, was in since.listed.items():
            if self._model.unchanged(name, since):
                if was is Is.THERE and name not in found:
                    raise PointLost(f"point {name} is not listed")
                if was is Is.GONE and name in found:
                    raise WrongData(f"point {name} is listed, and was deleted")
        if strange := found - self._model.points.keys():
            raise WrongData(f"points {strange} are listed, and never were there")

    def _read(self, manifest: Manifest, since: Sight) -> None:
        name = manifest.point_id
        try:
            disks = read(self._host.store, manifest)
        except VaultObjectMissing as error:
            if self._is_there(name, since):
                raise PointLost(f"point {name} cannot be read: {error.message}") from error
            return
        if disks != self._model.points[name].disks:
            raise WrongData(f"point {name} has other data than was stored")

    def _is_there(self, name: str, since: Sight) -> bool:
        """Whether a point must have been there all the time."""
        return since.listed.get(name) is Is.THERE and self._model.unchanged(name, since)

    def _must_be_whole(self, report: VerifyReport) -> None:
        task = current()
        if not report.is_whole and not (task is not None and task.troubled):
            raise PointLost(f"damage is reported, and there is none: {report.damages}")

    def _may_be_ended(self, error: VaultSessionEnded) -> None:
        """Only processes elsewhere may be taken for dead while they live."""
        if self._host.is_here:
            raise Unusable(f"a living process was taken for dead: {error.message}") from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Work that gives way to that of others."""
        try:
            yield
        except VaultCollectionInProgress:
            return
        except VaultSessionEnded as error:
            self._may_be_ended(error)

    @contextmanager
    def _trouble(self) -> Iterator[None]:
        """Errors are right when the storage has failed."""
        task = current()
        try:
            yield
        except OverwinterError:
            if task is None or not task.troubled:
                raise
