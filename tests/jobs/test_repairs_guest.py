"""Repairs of the guest's agent and extension, in a real guest: found, mended, and found no more."""

from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import pytest

from overwinter.guest.extension import FOLDER, PACKAGE
from overwinter.jobs.repairs import guest as guest_repairs
from overwinter.model.default_policies import standard_content
from overwinter.model.extension import Extension
from overwinter.model.job import Job, JobStatus
from overwinter.model.point import Consistency
from overwinter.model.protection import ProtectedItem
from testkit.console import console_run
from testkit.disks import DiskSpec
from testkit.domains import TinyGuest
from testkit.station import Station

pytestmark = pytest.mark.libvirt

MENDING = replace(
    standard_content(), extension=Extension(Consistency.FILE_SYSTEM, retries=0, automatic_repair=True)
)

#: What udev and systemd do on a real system: when the agent's device goes, its service ends; it starts again
#: with the device. That is back too soon to be missed, so the devices are known by their numbers.
_DEVICE_MANAGER = (
    "{ (was=$(ls -diL /sys/class/virtio-ports/*); "
    'while [ "$(ls -diL /sys/class/virtio-ports/*)" = "$was" ]; do sleep 0.1; done; '
    "killall -9 qemu-ga; rm -f /run/no-agent) >/dev/null 2>&1 & }"
)

#: A service of the old kind; init starts the agent again. And options that forbid a freeze.
_FORBID = """
printf '#!/bin/sh\\n[ "$*" = "qemu-guest-agent restart" ] && killall qemu-ga\\n' >/bin/service
chmod 755 /bin/service
mkdir -p /etc/qemu
printf '[general]\\nblacklist=guest-get-users,guest-fsfreeze-freeze\\n' >/etc/qemu/qemu-ga.conf
"""


@pytest.fixture(scope="module")
def guest(station: Station) -> Iterator[TinyGuest]:
    made = station.ground.guests.make(f"mend-{uuid4().hex[:6]}", [DiskSpec()])
    yield made
    station.ground.guests.remove(made)


@pytest.fixture(scope="module")
def item(station: Station, guest: TinyGuest) -> ProtectedItem:
    made = station.protect(guest, station.put_policy("Mending", MENDING))
    station.backup(made)
    return made


@pytest.fixture(scope="module")
def guest_with_python(station: Station) -> Iterator[TinyGuest]:
    made = station.ground.guests.with_python().make(f"mend-{uuid4().hex[:6]}", [DiskSpec()])
    yield made
    station.ground.guests.remove(made)


@pytest.fixture(scope="module")
def item_with_extension(station: Station, guest_with_python: TinyGuest) -> ProtectedItem:
    made = station.protect(guest_with_python, station.put_policy("Mending", MENDING))
    assert planned(station, made) == [], "nothing was removed that was never there"
    station.backup(made)
    return made


def planned(station: Station, item: ProtectedItem) -> list[str]:
    return [each.repair for each in station.service.plan_repairs(item)]


def repairs_of(job: Job) -> dict[str, object]:
    """Each repair that the job's report tells of, with its failure."""
    told = {} if job.report is None else job.report
    rows = told.get("repairs", [])
    assert isinstance(rows, list)
    return {row["repair"]: row["failure"] for row in rows}


@pytest.mark.parametrize("how", ["stopped", pytest.param("hung", marks=pytest.mark.long)])
def test_an_agent_that_is_away_is_started(
    station: Station, guest: TinyGuest, item: ProtectedItem, how: str
) -> None:
    console_run(guest.domain, _DEVICE_MANAGER, 60)
    if how == "stopped":
        guest.stop_agent()
    else:
        console_run(guest.domain, "killall -STOP qemu-ga", 60)
    assert planned(station, item) == ["agent-start"]
    job = station.scheduled_backup(item)
    assert (job.status, repairs_of(job)) == (JobStatus.COMPLETED, {"agent-start": None}), job
    assert job.report is not None and job.report["tried_again"] is True
    assert planned(station, item) == []


def test_an_agent_that_its_device_does_not_start_is_for_a_person(
    station: Station, guest: TinyGuest, item: ProtectedItem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guest_repairs, "_START_S", 1.0)
    guest.stop_agent()
    job = station.ended(station.service.repair(item))
    assert job.status is JobStatus.COMPLETED_WITH_WARNINGS
    assert [error.code for error in job.errors] == ["RepairFailed"]
    assert "start it in the guest" in job.errors[0].message
    job = station.scheduled_backup(item)
    assert job.status is JobStatus.FAILED
    assert job.report is not None and "tried_again" not in job.report, "nothing was mended"
    guest.resume_agent()


def test_options_that_forbid_the_freeze_are_changed_when_asked(
    station: Station, guest: TinyGuest, item: ProtectedItem
) -> None:
    guest.agent.check(_FORBID)
    guest.kill_agent()
    guest.wait_ready()
    job = station.scheduled_backup(item)
    assert (job.status, job.report) == (JobStatus.FAILED, None), "the guest's /etc is not changed unasked"
    assert planned(station, item) == ["agent-options"]
    job = station.completed(station.service.repair(item))
    assert repairs_of(job) == {"agent-options": None}
    kept = guest.agent.check("cd /etc/qemu && ls && grep list= qemu-ga.conf qemu-ga.conf.before-overwinter")
    assert kept.split() == [
        "qemu-ga.conf",
        "qemu-ga.conf.before-overwinter",
        "qemu-ga.conf:blacklist=guest-get-users",
        "qemu-ga.conf.before-overwinter:blacklist=guest-get-users,guest-fsfreeze-freeze",
    ]
    station.backup(item)


def test_a_policy_without_freezes_needs_no_agent(
    station: Station, guest: TinyGuest, item: ProtectedItem
) -> None:
    machine = station.service.machine(guest.name)
    station.completed(station.service.protect(station.vault, machine, station.crash_consistent_policy()))
    guest.stop_agent()
    assert planned(station, station.service.item(station.vault, guest.name)) == []
    guest.resume_agent()
    station.completed(station.service.protect(station.vault, machine, "Mending"))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (f"rm -r {FOLDER}", "is gone"),
        (f"echo x >>{PACKAGE}", "is damaged"),
        (
            f'sed -i \'s/"0\\.[0-9.]*"/"0.0.1"/\' {FOLDER}/status/0.status',
            "has version 0.0.1, this host's is",
        ),
    ],
    ids=["removed", "damaged", "other version"],
)
def test_the_extension_is_installed_anew(
    station: Station,
    guest_with_python: TinyGuest,
    item_with_extension: ProtectedItem,
    damage: str,
    told: str,
) -> None:
    guest_with_python.agent.check(damage)
    (finding,) = station.service.plan_repairs(item_with_extension)
    assert finding.repair == "extension-reinstall" and told in finding.finding
    job = station.completed(station.service.repair(item_with_extension))
    assert repairs_of(job) == {"extension-reinstall": None}
    assert planned(station, item_with_extension) == []
