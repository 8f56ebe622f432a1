"""Each check has facts with which it passes and facts with which it does not; none guesses."""

import string
from dataclasses import fields, replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.codebook import book
from overwinter.doctor import systems
from overwinter.doctor.check import Check, Status
from overwinter.doctor.checks import CHECKS
from overwinter.doctor.fact import Known
from overwinter.doctor.facts import Facts, Room, VaultHealth
from overwinter.doctor.report import examine
from overwinter.doctor.texts import texts_in
from overwinter.hypervisor.traces import BlockJob
from overwinter.model.agent import AgentState, GuestSystem
from overwinter.model.extension import Extension
from overwinter.model.job import JobOperation
from overwinter.model.lock import Lock, LockLevel, LockScope
from overwinter.model.point import Consistency
from overwinter.model.policy import PolicyType
from overwinter.model.profile import find_profile
from overwinter.model.protection import ProtectionState, StackVersion
from overwinter.model.schedule import HourlySchedule
from overwinter.model.vm import EncryptedDisk, ImageLayer, PowerState, VirtualMachine
from tests.doctor.facts import (
    AGENT,
    DISK,
    FIRST_RUN,
    HEALTHY,
    HEALTHY_WINDOWS,
    INFO,
    ITEM,
    LAST_RUN,
    MACHINE,
    NOW,
    ORIGINAL,
    OVERLAY,
    PROTECTION,
    RECOVERY_POINT,
    RESTORE_POINT,
    SEEN,
    VAULT,
    agent,
    job,
    known,
    linux,
    machine,
    policy,
    records,
    service,
    unknown,
    windows,
)

PASS, WARN, FAIL = Status.PASS, Status.WARN, Status.FAIL

ENCRYPTED = machine(encrypted_disks=(EncryptedDisk("vdb", 1 << 30, ("uuid:x",)),))
SILENT = {"state": AgentState.NOT_READY, "info": None, "reason": "No answer."}
BACKUP = job(JobOperation.BACKUP, NOW - timedelta(minutes=1), None)
MERGE = BlockJob("vda", 4, 1, 2)
LOCK = Lock(UUID(int=8), "keep", LockLevel.CAN_NOT_DELETE, None, NOW, LockScope("rg"))
VERIFIED = replace(
    job(JobOperation.VERIFY, NOW - timedelta(hours=1), timedelta(minutes=1)), report={"is_whole": True}
)
CRASH_ONLY = {"type": PolicyType.V2, "crash_consistent_only": True}
STRICT = Extension(required_consistency=Consistency.FILE_SYSTEM)
APPLICATION = Extension(required_consistency=Consistency.APPLICATION)
CROWDED = HourlySchedule(interval=4, start=LAST_RUN.time(), duration=24)
AZURE = find_profile("2021")
FOREIGN = ImageLayer("/images/a.snap1", "qcow2")

#: Per check: facts, and what it says to them.
CASES: dict[str, list[tuple[Facts, Status, str]]] = {
    "X1.1": [
        (HEALTHY, PASS, "ok"),
        (replace(HEALTHY, connection=known(4.0)), WARN, "slow"),
        (replace(HEALTHY, connection=unknown("libvirt cannot be reached")), FAIL, "away"),
    ],
    "H1.1": [
        (HEALTHY, PASS, "running"),
        (machine(state=PowerState.STOPPED), PASS, "off"),
        (machine(replace(HEALTHY, profile=AZURE), state=PowerState.STOPPED), WARN, "off_in_edition"),
        (machine(policy(extension=STRICT), state=PowerState.STOPPED), FAIL, "off_under_policy"),
        (machine(state=PowerState.PAUSED), FAIL, "paused"),
        (machine(state=PowerState.STARTING), FAIL, "changing"),
        (machine(state=PowerState.PAUSED, failure="its guest crashed"), FAIL, "failed"),
        (replace(HEALTHY, machine=known(None)), FAIL, "gone"),
    ],
    "H1.2": [
        (HEALTHY, PASS, "ok"),
        (HEALTHY_WINDOWS, PASS, "ok"),
        (linux(packaging=("dpkg",)), WARN, "running"),
        (linux(interrupted=True), WARN, "interrupted"),
        (windows(updating=True), WARN, "windows"),
    ],
    "H1.3": [
        (HEALTHY, PASS, "ok"),
        (HEALTHY_WINDOWS, PASS, "ok"),
        (linux(reboot=True), WARN, "pending"),
        (windows(reboot=True), WARN, "pending"),
    ],
    "H5.8": [
        (HEALTHY, PASS, "ok"),
        (linux(state="stopping"), WARN, "stopping"),
        (agent(state=AgentState.STOPPED, info=None), WARN, "silent"),
    ],
    "X1.2": [
        (HEALTHY, PASS, "ok"),
        (replace(HEALTHY, drift=known(timedelta(seconds=-90))), WARN, "off"),
        (replace(HEALTHY, drift=known(timedelta(days=2))), FAIL, "off"),
    ],
    "H2.1": [(HEALTHY_WINDOWS, PASS, "ok"), (agent(HEALTHY_WINDOWS, **SILENT), FAIL, "silent")],
    "H2.2": [
        (HEALTHY_WINDOWS, PASS, "ok"),
        (agent(HEALTHY_WINDOWS, state=AgentState.OUT_OF_DATE), WARN, "old"),
        (agent(HEALTHY_WINDOWS, state=AgentState.UNSUPPORTED), FAIL, "unsupported"),
    ],
    "H2.3": [(HEALTHY, PASS, "ok"), (agent(state=AgentState.NOT_INSTALLED, info=None), FAIL, "absent")],
    "H2.4": [
        (HEALTHY_WINDOWS, PASS, "ok"),
        (
            agent(HEALTHY_WINDOWS, last=replace(SEEN, system=GuestSystem("mswindows", "W", "2003", ""))),
            WARN,
            "old",
        ),
    ],
    "H2.5": [(HEALTHY, PASS, "ok"), (agent(**SILENT), FAIL, "silent")],
    "H2.6": [
        (HEALTHY, PASS, "ok"),
        (agent(state=AgentState.OUT_OF_DATE), WARN, "old"),
        (agent(state=AgentState.UNSUPPORTED), FAIL, "unsupported"),
    ],
    "H2.7": [
        (HEALTHY, PASS, "ok"),
        (linux(python=""), PASS, "not_needed"),
        (policy(linux(python="2.7"), extension=APPLICATION), FAIL, "missing"),
    ],
    "H2.8": [
        (HEALTHY, PASS, "ok"),
        (agent(last=replace(SEEN, system=GuestSystem("debian", "Debian", "7", ""))), WARN, "old"),
    ],
    "H2.9": [
        (replace(HEALTHY_WINDOWS, profile=AZURE), PASS, "ok"),
        (replace(windows(dotnet=0), profile=AZURE), FAIL, "missing"),
    ],
    "H2.10": [(HEALTHY, PASS, "ok"), (linux(restart="no"), WARN, "never")],
    "H2.11": [
        (HEALTHY, PASS, "ok"),
        (agent(info=replace(INFO, enabled=frozenset())), FAIL, "blocked"),
    ],
    "H2.11a": [(HEALTHY, PASS, "ok"), (linux(extensions="n"), WARN, "off")],
    "H2.12": [(HEALTHY, PASS, "ok"), (linux(provisioning="cloud-init"), WARN, "other")],
    "H2.13": [
        (HEALTHY, PASS, "ok"),
        (agent(state=AgentState.OUT_OF_DATE), WARN, "state"),
        (agent(**SILENT), FAIL, "state"),
    ],
    "X2.1": [
        (HEALTHY, PASS, "ok"),
        (agent(records(active_jobs=(BACKUP,)), frozen=True), PASS, "by_backup"),
        (agent(frozen=True), FAIL, "frozen"),
    ],
    "H4.5": [
        (HEALTHY, PASS, "ok"),
        (agent(info=replace(INFO, enabled=INFO.enabled - {"guest-exec"})), WARN, "blocked"),
    ],
    "H3.2": [
        (HEALTHY_WINDOWS, PASS, "ok"),
        (service("COMSysApp", state="Stopped"), WARN, "stopped"),
        (service("COMSysApp", state="Stopped", start="Disabled"), FAIL, "disabled"),
    ],
    "H3.3": [
        (HEALTHY_WINDOWS, PASS, "ok"),
        (service("MSDTC", state="Stopped"), FAIL, "stopped"),
        (service("MSDTC", account="LocalSystem"), FAIL, "account"),
    ],
    "H4.2": [(HEALTHY_WINDOWS, PASS, "ok"), (windows(faults=2), WARN, "crashed")],
    "H4.2a": [(HEALTHY, PASS, "ok"), (linux(crashes=1), WARN, "crashed")],
    "H4.3": [
        (HEALTHY_WINDOWS, PASS, "ok"),
        (windows(faults=2, excluded=True), PASS, "ok"),
        (windows(faults=2), WARN, "missing"),
    ],
    "H4.4": [(HEALTHY_WINDOWS, PASS, "ok"), (windows(blocked=1), FAIL, "blocked")],
    "H4.4a": [(HEALTHY, PASS, "ok"), (linux(denials=3), WARN, "denied")],
    "H4.12": [
        (HEALTHY_WINDOWS, PASS, "ok"),
        (windows(writers=(1, 8)), FAIL, "unstable"),
        (service("VSS", start="Disabled"), FAIL, "disabled"),
    ],
    "H5.7": [
        (HEALTHY, PASS, "ok"),
        (records(protection=None), FAIL, "unprotected"),
        (
            records(protection=replace(PROTECTION, item=replace(ITEM, state=ProtectionState.STOPPED))),
            FAIL,
            "inactive",
        ),
        (machine(state=PowerState.PAUSED), FAIL, "paused"),
    ],
    "H5.6": [
        (HEALTHY, PASS, "ok"),
        (records(active_jobs=(BACKUP,)), WARN, "running"),
        (records(active_jobs=(replace(BACKUP, started=NOW - timedelta(days=2)),)), FAIL, "running"),
    ],
    "H5.2": [
        (HEALTHY, PASS, "count"),
        (records(restore_points=(RESTORE_POINT,) * 15), WARN, "count"),
        (records(restore_points=(RESTORE_POINT,) * 18), FAIL, "full"),
    ],
    "H5.1": [
        (HEALTHY, PASS, "ok"),
        (records(locks=(LOCK,)), WARN, "locked"),
        (records(locks=(LOCK,), restore_points=(RESTORE_POINT,) * 15), FAIL, "locked"),
    ],
    "H5.3": [
        (HEALTHY, PASS, "ok"),
        (policy(type=PolicyType.V2, schedule=CROWDED, instant_days=7), PASS, "shortened"),
        (
            policy(replace(HEALTHY, profile=AZURE), type=PolicyType.V2, schedule=CROWDED, instant_days=5),
            WARN,
            "too_many",
        ),
    ],
    "H5.4": [
        (HEALTHY, PASS, "ok"),
        (machine(replace(HEALTHY, profile=AZURE), disks=(replace(DISK, size=33 << 40),)), FAIL, "large"),
    ],
    "H5.5": [
        (HEALTHY, PASS, "ok"),
        (
            machine(
                replace(
                    records(protection=replace(PROTECTION, vault=replace(VAULT, stack=StackVersion.V1))),
                    profile=find_profile("2018"),
                ),
                disks=(replace(DISK, media="StandardSSD_LRS"),),
            ),
            FAIL,
            "refused",
        ),
    ],
    "H4.14": [(ENCRYPTED, PASS, "ok"), (replace(ENCRYPTED, secrets=known("No secret.")), FAIL, "unreadable")],
    "H4.13": [
        (HEALTHY, PASS, "ok"),
        (records(backups=(job(JobOperation.BACKUP, FIRST_RUN, timedelta(hours=13)),)), WARN, "long"),
    ],
    "X4.7": [
        (HEALTHY, PASS, "fresh"),
        (
            records(recovery_points=(), protection=replace(PROTECTION, item=replace(ITEM, created=LAST_RUN))),
            PASS,
            "first_pending",
        ),
        (records(recovery_points=(replace(RECOVERY_POINT, created=FIRST_RUN),)), WARN, "stale"),
        (
            records(recovery_points=(replace(RECOVERY_POINT, created=FIRST_RUN - timedelta(days=9)),)),
            FAIL,
            "stale",
        ),
        (records(recovery_points=()), FAIL, "none"),
    ],
    "X4.1": [
        (HEALTHY, PASS, "free"),
        (replace(HEALTHY, rooms=known((Room("/images", 3 << 30, 9 << 30),))), WARN, "free"),
        (replace(HEALTHY, rooms=known((Room("/images", 1 << 20, 9 << 30),))), FAIL, "full"),
    ],
    "X4.9": [(HEALTHY, PASS, "ok"), (machine(unreadable_disks=(("vda", "it is gone"),)), FAIL, "unreadable")],
    "X4.2": [
        (HEALTHY, PASS, "ok"),
        (records(machine(disks=(replace(DISK, chain=(FOREIGN,)),)), unsettled=True), PASS, "changing"),
        (machine(disks=(replace(DISK, chain=(ImageLayer(OVERLAY, "qcow2"),)),)), FAIL, "lost"),
        (machine(disks=(replace(DISK, chain=(FOREIGN,)),)), FAIL, "lost"),
        (records(restore_points=()), WARN, "left_over"),
    ],
    "X4.3": [
        (HEALTHY, PASS, "ok"),
        (machine(disks=(replace(DISK, chain=(FOREIGN, *DISK.chain)),)), FAIL, "on_top"),
        (replace(HEALTHY, snapshots=known(("before-upgrade",))), WARN, "kept"),
    ],
    "X4.4": [
        (HEALTHY, PASS, "ok"),
        (records(replace(HEALTHY, block_jobs=known((MERGE,))), active_jobs=(BACKUP,)), PASS, "by_job"),
        (replace(HEALTHY, block_jobs=known((MERGE,))), WARN, "foreign"),
        (replace(HEALTHY, block_jobs=known((MERGE,)), standing_jobs=known((MERGE,))), FAIL, "stale"),
    ],
    "X4.5": [
        (HEALTHY, PASS, "ok"),
        (replace(HEALTHY, vault=known(VaultHealth(problem="It is away."))), FAIL, "away"),
        (replace(HEALTHY, vault=unknown("No answer.")), FAIL, "away"),
    ],
    "X4.6": [
        (HEALTHY, PASS, "ok"),
        (replace(HEALTHY, vault=known(VaultHealth())), PASS, "empty"),
        (replace(HEALTHY, vault=known(VaultHealth(damage="Cut short.", newest="1"))), FAIL, "damaged"),
        (records(verifications=(replace(VERIFIED, report={"is_whole": False}),)), FAIL, "verified_damaged"),
    ],
    "X4.8": [
        (HEALTHY, PASS, "ok"),
        (records(verifications=(VERIFIED,)), PASS, "ok"),
        (
            records(recovery_points=(replace(RECOVERY_POINT, created=NOW - timedelta(days=40)),)),
            WARN,
            "unverified",
        ),
        (
            records(
                verifications=(replace(VERIFIED, started=NOW - timedelta(days=36)),),
                recovery_points=(replace(RECOVERY_POINT, created=NOW - timedelta(days=40)),),
            ),
            WARN,
            "long_ago",
        ),
    ],
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_each_check_is_shown_passing_and_failing(check: Check) -> None:
    statuses = {status for _, status, _ in CASES[check.id]}
    assert PASS in statuses and statuses & {WARN, FAIL}
    assert CASES.keys() == {each.id for each in CHECKS}


@pytest.mark.parametrize(
    ("check", "facts", "status", "reason"),
    [(check, *case) for check in CHECKS for case in CASES[check.id]],
    ids=lambda value: value.id if isinstance(value, Check) else value if isinstance(value, str) else "",
)
def test_a_check_says_what_its_facts_say(check: Check, facts: Facts, status: Status, reason: str) -> None:
    (result,) = examine(facts, [check]).results
    assert (result.finding.status, result.finding.reason) == (status, reason)
    assert texts_in("en").sentence(result)


def test_every_sentence_is_used_and_every_cause_is_in_the_code_book() -> None:
    tables = texts_in("en").tables
    assert set(tables) == {check.id for check in CHECKS} | {"words"}
    for check in CHECKS:
        used = {reason for _, _, reason in CASES[check.id]}
        assert set(tables[check.id]) == used | {"title"}, check.id
        assert check.causes, check.id
        assert set(check.causes) <= set(book.causes()), check.id
        for sentence in tables[check.id].values():
            assert all(
                name is None or name.isidentifier() for _, name, _, _ in string.Formatter().parse(sentence)
            )


def test_a_vm_that_is_well_gets_no_alarm() -> None:
    crash_only = agent(machine(policy(**CRASH_ONLY), agent_channel=False), **SILENT)
    crash_only = replace(
        crash_only,
        agent=known(replace(AGENT, state=AgentState.NOT_INSTALLED, info=None, last=None)),
        linux=unknown(),
        drift=unknown(),
    )
    off = machine(agent(state=AgentState.STOPPED, info=None), state=PowerState.STOPPED)
    new = records(
        restore_points=(),
        recovery_points=(),
        backups=(),
        protection=replace(PROTECTION, item=replace(ITEM, created=NOW, state=ProtectionState.PENDING)),
    )
    new = replace(new, vault=known(VaultHealth()), machine=known(_flat()))
    for facts in (HEALTHY, HEALTHY_WINDOWS, crash_only, off, new, linux(python="", restart=None)):
        report = examine(facts)
        bad = [result for result in report.results if result.finding.status in (WARN, FAIL)]
        assert not bad, bad
    assert examine(HEALTHY).worst is PASS


def _flat() -> VirtualMachine:
    return replace(MACHINE, disks=(replace(DISK, chain=(ImageLayer(ORIGINAL, "qcow2"),)),))


changing = [field.name for field in fields(Facts) if isinstance(getattr(HEALTHY, field.name), Known)]


@given(st.sampled_from([HEALTHY, HEALTHY_WINDOWS]), st.sets(st.sampled_from(changing)))
def test_nothing_is_guessed_of_what_nobody_told(facts: Facts, missing: set[str]) -> None:
    """With less known no check fails for lack of it, but for the two that ask whether there is an answer."""
    less = replace(facts, **{name: unknown() for name in missing})  # type: ignore[arg-type]
    report = examine(less)
    texts = texts_in("en")
    for result in report.results:
        assert texts.sentence(result)
        if result.finding.status in (WARN, FAIL):
            assert result.check.id in {"X1.1", "X4.5"}, result
        if result.finding.status is Status.UNKNOWN:
            assert result.why


def test_systems_are_compared_by_their_numbers() -> None:
    assert systems.is_older("7", "8") and not systems.is_older("12", "8")
    assert systems.is_older("2003", "2008") and not systems.is_older("2012 R2", "2008")
    assert not systems.is_older("11", "2008") and not systems.is_older("", "8")
    assert systems.oldest_supported("plan9") is None


def test_the_worst_counts() -> None:
    assert examine(linux(reboot=True)).worst is WARN
    assert examine(replace(HEALTHY, drift=unknown())).worst is Status.UNKNOWN
    assert examine(records(protection=None)).worst is FAIL
