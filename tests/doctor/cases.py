"""For each check: facts, and what it says to them. Every sentence of the doctor is here at least once."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from overwinter.doctor.check import Status
from overwinter.doctor.facts import Facts, Room, VaultHealth
from overwinter.model.agent import AgentState, GuestSystem
from overwinter.model.extension import Extension
from overwinter.model.guest_extension import ExtensionStatus, ProvisioningState
from overwinter.model.job import JobOperation
from overwinter.model.lock import Lock, LockLevel, LockScope
from overwinter.model.point import Consistency
from overwinter.model.policy import PolicyType
from overwinter.model.profile import find_profile
from overwinter.model.protection import ProtectionState, StackVersion
from overwinter.model.schedule import HourlySchedule
from overwinter.model.vm import BlockJob, EncryptedDisk, ImageLayer, PowerState, UnreadableDisk
from tests.doctor.facts import (
    DISK,
    FIRST_RUN,
    HEALTHY,
    HEALTHY_WINDOWS,
    INFO,
    ITEM,
    LAST_RUN,
    NOW,
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
AWAY = UnreadableDisk("vda", "it is gone", "C-IMAGE-AWAY")
DAMAGED = UnreadableDisk("vda", "it is noise", "C-IMAGE-DAMAGED")
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
    "H4.1": [
        (HEALTHY, PASS, "ok"),
        (replace(HEALTHY, extension=known(ExtensionStatus(ProvisioningState.NOT_INSTALLED))), PASS, "absent"),
        (replace(HEALTHY, extension=known(ExtensionStatus(ProvisioningState.CREATING))), WARN, "changing"),
        (replace(HEALTHY, extension=known(ExtensionStatus(ProvisioningState.FAILED))), FAIL, "failed"),
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
        (records(restore_points=(RESTORE_POINT,) * 17), PASS, "count"),
        (records(replace(HEALTHY, profile=AZURE), restore_points=(RESTORE_POINT,) * 15), WARN, "count"),
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
    "X4.9": [
        (HEALTHY, PASS, "ok"),
        (machine(unreadable_disks=(UnreadableDisk("vda", "it is gone"),)), FAIL, "unreadable"),
    ],
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
    "D1": [(HEALTHY, PASS, "ok"), (agent(**SILENT), FAIL, "state")],
    "D2": [(HEALTHY, PASS, "ok"), (machine(agent_channel=False), FAIL, "missing")],
    "D3": [
        (HEALTHY, PASS, "ok"),
        (agent(**SILENT), PASS, "ok"),
        (agent(state=AgentState.NOT_INSTALLED, info=None), Status.UNKNOWN, "unknown"),
    ],
    "D4": [
        (HEALTHY, PASS, "ok"),
        (records(restore_points=(RESTORE_POINT, RESTORE_POINT)), FAIL, "several"),
    ],
    "D5": [
        (HEALTHY, PASS, "ok"),
        (records(recovery_points=(replace(RECOVERY_POINT, manifest=None),)), FAIL, "behind"),
        (records(recovery_points=()), FAIL, "behind"),
    ],
    "D6": [
        (HEALTHY, PASS, "ok"),
        (machine(failure="its guest crashed", failure_cause="C-VM-CRASHED"), FAIL, "crashed"),
        (machine(failure="no space", failure_cause="C-DISK-STOPPED"), FAIL, "disk"),
        (machine(failure="a migration failed half-way"), FAIL, "other"),
    ],
    "D7": [
        (HEALTHY, PASS, "ok"),
        (machine(unreadable_disks=(AWAY,)), FAIL, "away"),
        (machine(unreadable_disks=(DAMAGED, DAMAGED)), FAIL, "damaged"),
        (machine(unreadable_disks=(AWAY, DAMAGED)), Status.UNKNOWN, "unknown"),
    ],
}
