"""The small loop that looks after what nobody asks for: names of VMs, expired and deleted recovery points,
merges and snapshots that were cut off.

It only looks (in the catalog and at libvirt's list of VMs) and starts jobs; the work is done by the job
CleanUp of each vault that needs it, and CleanUpRestorePoints of each VM. So a point goes within a minute
after it expired or after the backup that made it superfluous. A snapshot that was cut off is settled here: a
VM that goes on in overlays of which libvirt knows nothing must not wait for its next backup.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import structlog

from overwinter.catalog import items, merges, vaults
from overwinter.catalog import jobs as job_table
from overwinter.catalog.database import Transaction
from overwinter.jobs import expiry, follow
from overwinter.jobs.point_admin import RestorePointAdmin
from overwinter.jobs.reconcile import settle_captures
from overwinter.jobs.runtime import Runtime
from overwinter.jobs.vault_admin import VaultAdmin
from overwinter.model.errors import BackupOperationInProgress, OverwinterError
from overwinter.model.job import JobOperation, JobStatus
from overwinter.model.protection import ProtectedItem

log = structlog.get_logger(__name__)

#: Seconds between two looks.
INTERVAL_S = 60.0


class Upkeep:
    """The loop of one service."""

    def __init__(self, runtime: Runtime, admin: VaultAdmin, restore_points: RestorePointAdmin) -> None:
        self._runtime = runtime
        self._admin = admin
        self._restore_points = restore_points
        self._unsettled: dict[UUID, str] = {}

    def look(self) -> None:
        """Look once. What cannot be done now is tried again at the next look."""
        try:
            follow.all_machines(self._runtime)
        except OverwinterError as error:
            log.warning("the VMs cannot be listed", code=error.code, reason=error.message)
        settle_captures(self._runtime, self._unsettled)
        with self._runtime.catalog.transaction() as tx:
            now = self._runtime.clock()
            unfinished = self._cut_off(tx)
            due = [vault for vault in vaults.every(tx) if expiry.is_due(tx, vault, now)]
        for vault in due:
            try:
                self._admin.clean_up(vault.name, by_itself=True)
            except BackupOperationInProgress:
                log.info("clean-up waits for another job on the vault", vault=vault.name)
        for item in unfinished:
            try:
                self._restore_points.clean_up(item)
            except BackupOperationInProgress:
                pass  # that job goes on with the merge
            else:
                log.warning("a merge that was cut off is finished", vm=item.vm_name)

    def _cut_off(self, tx: Transaction) -> list[ProtectedItem]:
        """Active items with a merge that began and did not end; after a failure they wait for a while."""
        earliest = self._runtime.clock() - expiry.PAUSE
        found = []
        for item in items.every(tx):
            if item.is_active and merges.of_machine(tx, item.vm_uuid):
                last = job_table.last_of(tx, item.vault_id, JobOperation.CLEAN_UP_POINTS)
                if last is None or last.status is not JobStatus.FAILED or last.started < earliest:
                    found.append(item)
        return found

    @contextmanager
    def running(self) -> Iterator[None]:
        """Look every minute within the block, in a thread of its own."""
        ended = threading.Event()

        def loop() -> None:
            while not ended.wait(INTERVAL_S):
                try:
                    self.look()
                except Exception:
                    log.exception("upkeep failed; it goes on at its next turn")

        thread = threading.Thread(target=loop, name="upkeep", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
