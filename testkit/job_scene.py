"""A service as a process with a running guest under protection, and what must be true of it at any time.

Kills, losses and full disks happen to it; afterwards ``check_sound`` looks for everything that must not be.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import libvirt

from overwinter.catalog import captures, merges
from overwinter.catalog.database import Catalog
from overwinter.model.settings import DEFAULT_HYPERVISOR
from testkit.disks import MIB, DiskSpec, convert, first_difference
from testkit.domains import TinyGuest
from testkit.ground import Ground
from testkit.program import Program
from testkit.waiting import wait_until

#: A guest may be frozen for the guard's hard stop at most, and then it takes a moment.
THAW_LIMIT_S = 20.0


class GuestFrozen(AssertionError):
    """A guest stays frozen."""


class GuestPaused(AssertionError):
    """A guest does not run any more."""


class DataLost(AssertionError):
    """What was backed up does not come back, or a disk of a VM is not what it was."""


class Orphan(AssertionError):
    """Something is left over that nobody will ever remove."""


class JobScene:
    """A running guest with a qcow2 and a raw disk under protection."""

    def __init__(
        self,
        ground: Ground,
        directory: Path,
        database: str | None = None,
        hypervisor: str = DEFAULT_HYPERVISOR,
        vault: Path | None = None,
    ) -> None:
        self.directory = directory
        self.ground = ground
        self.program = Program(directory / "overwinter", database, hypervisor)
        self._catalog = database or f"sqlite:///{self.program.state}/catalog.db"
        disks = [DiskSpec(format="qcow2", size=128 * MIB), DiskSpec(format="raw", size=64 * MIB)]
        self.guest: TinyGuest = ground.guests.make(f"jobs-{uuid4().hex[:6]}", disks)
        self.program.start()
        place = [] if vault is None else ["--url", vault.as_uri()]
        self.program.do("vault", "create", "vault1", *place)
        self.protect()

    def protect(self) -> None:
        """Protect the guest, again if need be."""
        self.program.do("protect", self.guest.name, "--vault", "vault1")

    def restart(self, kill_at: str | None = None) -> None:
        """Start the service anew."""
        self.program.stop()
        self.program.start(kill_at=kill_at)

    def write(self) -> None:
        """Change something on both disks; works only in a guest that is not frozen."""
        self.guest.agent.check("for d in /mnt/vd?; do dd if=/dev/urandom of=$d/f bs=64k count=9; done; sync")

    def content(self) -> str:
        """What the guest reads of its files now."""
        return str(self.guest.agent.check("md5sum /mnt/vd?/f"))

    def depths(self) -> set[int]:
        """How long the chains of the disks are."""
        return {len(self.guest.chain(target)) for target in self.guest.disks}

    def age_restore_points(self, days: int) -> None:
        """Let the existing restore points be older, as if time had passed; the service must not run."""
        with closing(sqlite3.connect(self.program.state / "catalog.db")) as catalog:
            catalog.execute(f"UPDATE restore_points SET created = datetime(created, '-{days} days')")
            catalog.commit()

    def ended(self, operation: str, *statuses: str) -> Any:
        """The newest job of that kind, once it has ended in one of the statuses."""
        job = self.program.ended(self.program.newest_job(operation))
        if job["status"] not in statuses:
            raise AssertionError(f"{operation} is {job['status']}: {job['errors']}")
        return job

    def backup_and_compare(self) -> None:
        """A whole backup, restored and compared with qemu-img's copy of the frozen chain."""
        self.write()
        job = self.program.do("backup", self.guest.name, "--wait")
        assert job["status"] == "Completed", job["errors"]
        self.compare_latest()

    def compare_latest(self) -> None:
        """Restore the newest point and compare. Raises DataLost."""
        directory = self.directory / f"check-{uuid4().hex[:6]}"
        directory.mkdir()
        self.program.do("restore", self.guest.name, "--point", "latest", "--disks", str(directory))
        for target, original in self.guest.disks.items():
            frozen = self.guest.chain(target)[1]
            truth, got = directory / f"{target}.truth", directory / f"{target}.got"
            convert(frozen, original.suffix[1:] if frozen == original else "qcow2", truth)
            (restored,) = directory.glob(f"*-{target}{original.suffix}")
            convert(restored, original.suffix[1:], got)
            if first_difference(truth, got) is not None:
                raise DataLost(f"{target} of the newest point differs")
            for file in (truth, got, restored):
                file.unlink()

    def check_alive(self) -> None:
        """The guest runs and is not frozen, or not for long. Raises GuestPaused, GuestFrozen."""
        state, _reason = self.guest.domain.state()
        if state != libvirt.VIR_DOMAIN_RUNNING:
            raise GuestPaused(f"{self.guest.name} is in state {state}")
        try:
            wait_until(
                lambda: self.guest.agent.command("guest-fsfreeze-status") == "thawed", "frozen", THAW_LIMIT_S
            )
        except AssertionError as error:
            raise GuestFrozen(f"{self.guest.name} stays frozen") from error

    def check_sound(self) -> None:
        """Nothing is wrong and nothing is left over; no job must run. Raises what it finds."""
        self.check_alive()
        for target, original in self.guest.disks.items():
            chain = set(self.guest.chain(target))
            found = set(original.parent.glob(f"{original.name}.overwinter-*"))
            if left := found - chain:
                raise Orphan(f"overlays that no chain has: {sorted(left)}")
        if partial := list(self.program.images.glob("*.partial-*")):
            raise Orphan(f"half a restore: {partial}")
        catalog = Catalog(self._catalog)
        with catalog.transaction() as tx:
            notes = [*captures.every(tx), *merges.of_machine(tx, UUID(self.guest.domain.UUIDString()))]
            if notes:
                raise Orphan(f"notes of what is over: {notes}")
        catalog.close()

    def close(self) -> None:
        """End the service and remove the guest."""
        self.program.stop()
        self.ground.guests.remove(self.guest)


def new_directory(ground: Ground) -> Path:
    """A directory for one scene, removed with the run."""
    directory = ground.run.directory / f"jobs-{uuid4().hex[:6]}"
    directory.mkdir(mode=0o755)
    return directory


@contextmanager
def job_scene(
    ground: Ground, database: str | None = None, hypervisor: str = DEFAULT_HYPERVISOR
) -> Iterator[JobScene]:
    """A scene of its own, gone at the end."""
    with closing(JobScene(ground, new_directory(ground), database, hypervisor)) as scene:
        yield scene
