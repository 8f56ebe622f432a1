"""The small loop that looks after what nobody asks for: names of VMs, expired and deleted recovery points.

It only looks (in the catalog and at libvirt's list of VMs) and starts jobs; the work is done by the job
CleanUp of each vault that needs it. So a point goes within a minute after it expired or after the backup that
made it superfluous.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from overwinter.catalog import vaults
from overwinter.jobs import expiry, follow
from overwinter.jobs.runtime import Runtime
from overwinter.jobs.vault_admin import VaultAdmin
from overwinter.model.errors import BackupOperationInProgress, OverwinterError

log = structlog.get_logger(__name__)

#: Seconds between two looks.
INTERVAL_S = 60.0


class Upkeep:
    """The loop of one service."""

    def __init__(self, runtime: Runtime, admin: VaultAdmin) -> None:
        self._runtime = runtime
        self._admin = admin

    def look(self) -> None:
        """Look once. What cannot be done now is tried again at the next look."""
        try:
            follow.all_machines(self._runtime)
        except OverwinterError as error:
            log.warning("the VMs cannot be listed", code=error.code, reason=error.message)
        with self._runtime.catalog.transaction() as tx:
            now = self._runtime.clock()
            due = [vault for vault in vaults.every(tx) if expiry.is_due(tx, vault, now)]
        for vault in due:
            try:
                self._admin.clean_up(vault.name, by_itself=True)
            except BackupOperationInProgress:
                log.info("clean-up waits for another job on the vault", vault=vault.name)

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
