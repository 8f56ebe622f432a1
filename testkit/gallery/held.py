"""Holding the service of this process at a named place while a fault is done to it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from overwinter.jobs import faults
from overwinter.model.job import Job
from testkit.gallery.patient import Patient, Told, told
from testkit.waiting import wait_until

_ARRIVAL_LIMIT_S = 120.0


@contextmanager
def held(place: str, directory: Path) -> Iterator[Callable[[], None]]:
    """Whoever reaches ``place`` first within the block waits there until its end.

    Yields what waits until somebody does.
    """
    marker = directory / f"hold-{uuid4().hex[:8]}"
    os.environ[faults.HOLD] = f"{place}:{marker}"
    try:
        yield lambda: wait_until(marker.exists, f"nobody reached {place}", _ARRIVAL_LIMIT_S)
    finally:
        del os.environ[faults.HOLD]
        marker.write_text("go on")


def backup_held(place: str, do: Callable[[Patient], None]) -> Callable[[Patient], Told]:
    """A backup to which something happens while it stands at a place."""

    def attempt(patient: Patient) -> Told:
        def start() -> Job:
            with held(place, patient.station.directory) as arrived:
                job = patient.service.backup(patient.item, expires=None)
                arrived()
                do(patient)
            return job

        return told(patient, start)

    return attempt
