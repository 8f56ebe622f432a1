"""Starting and stopping a service: directories, catalog, hypervisor, reconciliation, then the jobs."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NoReturn
from uuid import uuid4

from overwinter.catalog import settings as facts
from overwinter.catalog.database import Catalog
from overwinter.hypervisor.connection import Hypervisor
from overwinter.jobs import engine, reconcile, shield
from overwinter.jobs.explaining import Explain
from overwinter.jobs.freezing import none_frozen
from overwinter.jobs.runtime import Runtime
from overwinter.jobs.service import Service
from overwinter.jobs.vault_stores import VaultStores
from overwinter.model.settings import Settings


def _now() -> datetime:
    return datetime.now(UTC)


def end_process() -> NoReturn:
    """End the process at once, as a crash would, with status 0: its jobs go on at the next start.

    Running steps cannot be told to stop in an orderly way, and they are made to be cut off anywhere. Only a
    frozen guest is waited for.
    """
    with none_frozen():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


@contextmanager
def open_service(
    settings: Settings, clock: Callable[[], datetime] = _now, explain: Explain | None = None
) -> Iterator[Service]:
    """A running service: the schema is up to date, guests are thawed, interrupted jobs go on.

    ``clock`` gives the present time with a zone; ``explain`` says what was behind the errors of a job.
    """
    settings.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    runtime = Runtime(
        settings=settings,
        catalog=Catalog(settings.catalog_url),
        hypervisor=Hypervisor(settings.hypervisor),
        vaults=VaultStores(settings.directory / "cache"),
        clock=clock,
    )
    try:
        runtime.catalog.migrate()
        with runtime.catalog.transaction() as tx:
            subscription = facts.get_or_set(tx, "subscription_id", str(uuid4()))
        job_engine = engine.configure(runtime, explain)
        try:
            reconcile.thaw_interrupted(runtime)
            shield.settle_all(runtime)
            job_engine.launch()
            reconcile.settle_captures(runtime)
            yield Service(runtime, job_engine, subscription)
        finally:
            engine.shut_down()
    finally:
        runtime.close()
