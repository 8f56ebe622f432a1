"""A real backup that fails: what was behind it is found out right after its end, and kept with it."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from overwinter.catalog import jobs
from overwinter.doctor.diagnosis import Evidence, Verdict
from overwinter.doctor.diagnosis_record import diagnosis_of, taken
from overwinter.doctor.doctor import Doctor, explain
from overwinter.jobs import explaining
from overwinter.jobs.runtime import Runtime
from overwinter.model.job import PENDING, Job, JobError, JobStatus
from overwinter.model.point import Consistency
from overwinter.model.protection import ProtectedItem
from testkit.disks import DiskSpec
from testkit.ground import Ground
from testkit.station import Station, open_station
from testkit.waiting import wait_until

pytestmark = pytest.mark.libvirt

LIMIT_S = 90.0


class Port:
    """What the engine is given: finds out, unless a test says what happens instead."""

    def __init__(self) -> None:
        self.explain: explaining.Explain = explain

    def __call__(self, runtime: Runtime, job: Job) -> dict[str, Any]:
        return self.explain(runtime, job)


@pytest.fixture(scope="module")
def port() -> Port:
    return Port()


@pytest.fixture(scope="module")
def station(ground: Ground, port: Port) -> Iterator[Station]:
    with open_station(ground, explain=port) as opened:
        yield opened


@pytest.fixture(scope="module")
def item(station: Station) -> ProtectedItem:
    """A VM that is off, under a policy that requires frozen file systems: each backup of it fails."""
    guest = station.ground.guests.make("unwell", [DiskSpec(size=32 << 20)], start=False)
    return station.protect(guest, station.strict_policy())


@pytest.fixture(autouse=True)
def _as_before(port: Port) -> Iterator[None]:
    yield
    port.explain = explain


def failed(station: Station, item: ProtectedItem) -> Job:
    job = station.ended(station.service.backup(item, expires=None))
    assert (job.status, job.errors[0].code) == (JobStatus.FAILED, "UserErrorVmNotInDesirableState")
    return job


def explained(station: Station, job: Job) -> Job:
    wait_until(lambda: not station.service.job(job.id).is_being_diagnosed, "no diagnosis", LIMIT_S)
    return station.service.job(job.id)


def test_a_failed_backup_tells_what_was_behind_it(station: Station, item: ProtectedItem) -> None:
    job = explained(station, failed(station, item))
    found = diagnosis_of(job, job.errors[0], None)
    assert found is not None and found.first == "C-OFF-UNDER-POLICY"
    (cause,) = found.of(Verdict.CONFIRMED)
    seen, checked = cause.evidence
    assert seen.reason == "saw"
    assert checked == Evidence(
        "H1.1",
        checked.status,
        "off_under_policy",
        {"required": Consistency.FILE_SYSTEM.value, "policy": "Strict"},
    )
    ruled_out = [each.cause.id for each in found.of(Verdict.RULED_OUT)]
    assert ruled_out == ["C-BLOCK-JOB-STALE"]
    when = taken(job)
    assert when is not None and job.ended is not None and when >= job.ended
    assert found.remedies[0].id == "S-VM-START"


def test_the_doctor_knows_the_last_failure(station: Station, item: ProtectedItem) -> None:
    job = explained(station, failed(station, item))
    report = Doctor(station.service.runtime).examine(item.vm_name)
    assert report.failed == job


def test_a_job_has_ended_before_anybody_looks(station: Station, item: ProtectedItem, port: Port) -> None:
    looks, may_go_on = threading.Event(), threading.Event()

    def hesitate(runtime: Runtime, job: Job) -> dict[str, Any]:
        looks.set()
        assert may_go_on.wait(LIMIT_S)
        return explain(runtime, job)

    port.explain = hesitate
    job = failed(station, item)
    assert looks.wait(LIMIT_S)
    assert station.service.job(job.id).is_being_diagnosed
    may_go_on.set()
    assert taken(explained(station, job)) is not None


def test_an_explanation_that_fails_costs_nothing_else(
    station: Station, item: ProtectedItem, port: Port
) -> None:
    def break_down(_runtime: Runtime, _job: Job) -> dict[str, Any]:
        raise ZeroDivisionError

    port.explain = break_down
    job = explained(station, failed(station, item))
    assert (job.status, job.diagnosis) == (JobStatus.FAILED, None)
    port.explain = explain
    assert explained(station, failed(station, item)).diagnosis is not None


def test_an_explanation_that_hangs_is_not_waited_for(station: Station, item: ProtectedItem) -> None:
    job = explained(station, failed(station, item))
    runtime = station.service.runtime
    with runtime.catalog.transaction() as tx:
        jobs.set_diagnosis(tx, job.id, PENDING)
    ends = threading.Event()
    explaining.attach(runtime, job.id, lambda _runtime, _job: {"waited": ends.wait()}, limit_s=0.05)
    assert station.service.job(job.id).diagnosis is None
    ends.set()


def test_a_job_on_a_whole_vault_is_explained_without_a_vm(station: Station, item: ProtectedItem) -> None:
    of_vault = replace(
        failed(station, item),
        item_id=None,
        vm_uuid=station.vault.id,
        errors=(JobError("VaultStorageFull", ""),),
    )
    kept = explain(station.service.runtime, of_vault)
    assert kept["taken"] is None
    assert kept["problems"][0]["causes"][0]["id"] == "C-VAULT-FULL"
