"""Facts of a VM that is well, Linux or Windows, to be changed by tests."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from overwinter.doctor.fact import Fact, Known, Source, Unknown
from overwinter.doctor.facts import (
    Facts,
    LinuxGuest,
    Protection,
    Records,
    Room,
    VaultHealth,
    WindowsGuest,
    WindowsService,
)
from overwinter.model.agent import (
    DELIVERY_COMMANDS,
    FREEZE_COMMANDS,
    AgentInfo,
    AgentState,
    AgentStatus,
    GuestSystem,
    LastSeen,
)
from overwinter.model.default_policies import new_policy, standard_content
from overwinter.model.job import Job, JobOperation, JobStatus
from overwinter.model.point import Consistency, DiskCapture, RecoveryPoint, RestorePoint
from overwinter.model.profile import OVERWINTER
from overwinter.model.protection import KeyKind, ProtectedItem, ProtectionState, Vault
from overwinter.model.vm import Disk, Firmware, ImageLayer, PowerState, VirtualMachine

#: A quarter to noon; the standard policy runs at half past two.
NOW = datetime(2026, 5, 20, 11, 45, tzinfo=UTC)
LAST_RUN = datetime(2026, 5, 20, 2, 31, tzinfo=UTC)
FIRST_RUN = LAST_RUN - timedelta(days=1)

VM_UUID, VAULT_ID, POLICY_ID, ITEM_ID, POINT_ID = (UUID(int=number) for number in range(1, 6))

ORIGINAL, OVERLAY = "/images/a.qcow2", "/images/a.qcow2.overwinter-000000000005"

T = TypeVar("T")


def known(value: T, source: Source = Source.GUEST) -> Fact[T]:
    return Known(value, source, NOW)


def unknown(reason: str = "nobody knows") -> Unknown:
    return Unknown(reason, Source.GUEST, NOW)


DISK = Disk("vda", -1, 1 << 30, (ImageLayer(OVERLAY, "qcow2"), ImageLayer(ORIGINAL, "qcow2")))

MACHINE = VirtualMachine(
    uuid=VM_UUID,
    name="web01",
    state=PowerState.RUNNING,
    persistent=True,
    vcpus=2,
    memory_bytes=1 << 30,
    firmware=Firmware.BIOS,
    disks=(DISK,),
    agent_channel=True,
    agent_connected=True,
)

COMMANDS = FREEZE_COMMANDS | DELIVERY_COMMANDS
INFO = AgentInfo("7.2.22", COMMANDS, COMMANDS)
DEBIAN = GuestSystem("debian", "Debian GNU/Linux 12", "12", "6.1.0")
SERVER = GuestSystem("mswindows", "Windows Server 2022", "2022", "20348")
SEEN = LastSeen(NOW, "7.2.22", DEBIAN)
AGENT = AgentStatus(AgentState.READY, "Guest Agent is running", SEEN, INFO, "web01")
WINDOWS_AGENT = replace(AGENT, last=replace(SEEN, system=SERVER))

LINUX = LinuxGuest(
    reboot=False,
    interrupted=False,
    python="3.11",
    restart="always",
    state="running",
    extensions="y",
    provisioning="auto",
    crashes=0,
    denials=0,
)
WINDOWS = WindowsGuest(
    reboot=False,
    updating=False,
    dotnet=528449,
    services={
        "COMSysApp": WindowsService("Running", "Manual", "LocalSystem"),
        "MSDTC": WindowsService("Running", "Auto", "NT AUTHORITY\\NetworkService"),
        "VSS": WindowsService("Stopped", "Manual", "LocalSystem"),
    },
    writers=(1, 1, 1),
    faults=0,
    blocked=0,
    antivirus=True,
    excluded=False,
)

VAULT = Vault(VAULT_ID, "main", "default", "local", "file:///v", KeyKind.KEY_FILE, "file:k", FIRST_RUN)
POLICY = new_policy(POLICY_ID, VAULT_ID, "nightly", standard_content())
ITEM = ProtectedItem(
    id=ITEM_ID,
    vault_id=VAULT_ID,
    policy_id=POLICY_ID,
    vm_uuid=VM_UUID,
    vm_name="web01",
    resource_group="default",
    state=ProtectionState.PROTECTED,
    created=FIRST_RUN - timedelta(days=1),
)
PROTECTION = Protection(ITEM, POLICY, VAULT)

RESTORE_POINT = RestorePoint(
    id=POINT_ID,
    collection_id=UUID(int=9),
    name="AzureBackup_20260520_023100",
    created=LAST_RUN,
    consistency=Consistency.FILE_SYSTEM,
    freeze_ms=100,
    disks=(DiskCapture("vda", -1, 1 << 30, (ORIGINAL,), ("qcow2",), OVERLAY),),
)
RECOVERY_POINT = RecoveryPoint(
    id="1",
    item_id=ITEM_ID,
    created=LAST_RUN,
    consistency=Consistency.FILE_SYSTEM,
    expires=None,
    restore_point=POINT_ID,
    manifest="m1",
)


def job(operation: JobOperation, started: datetime, length: timedelta | None) -> Job:
    """A job of the VM that completed after so long, or runs."""
    return Job(
        id=UUID(int=77),
        vault_id=VAULT_ID,
        item_id=ITEM_ID,
        vm_uuid=VM_UUID,
        vm_name="web01",
        operation=operation,
        status=JobStatus.IN_PROGRESS if length is None else JobStatus.COMPLETED,
        started=started,
        ended=None if length is None else started + length,
    )


RECORDS = Records(
    protection=PROTECTION,
    restore_points=(RESTORE_POINT,),
    recovery_points=(RECOVERY_POINT,),
    backups=(job(JobOperation.BACKUP, LAST_RUN, timedelta(minutes=4)),),
)

HEALTHY = Facts(
    vm="web01",
    taken=NOW,
    profile=OVERWINTER,
    connection=known(0.01, Source.LIBVIRT),
    machine=known(MACHINE, Source.LIBVIRT),
    block_jobs=known((), Source.LIBVIRT),
    standing_jobs=known((), Source.LIBVIRT),
    snapshots=known((), Source.LIBVIRT),
    secrets=known("", Source.LIBVIRT),
    rooms=known((Room("/images", 100 << 30, 200 << 30),), Source.HOST),
    agent=known(AGENT),
    drift=known(timedelta(seconds=1)),
    linux=known(LINUX),
    windows=unknown(),
    records=known(RECORDS, Source.CATALOG),
    vault=known(VaultHealth(newest="1"), Source.VAULT),
)
HEALTHY_WINDOWS = replace(HEALTHY, agent=known(WINDOWS_AGENT), linux=unknown(), windows=known(WINDOWS))


def machine(facts: Facts = HEALTHY, **changes: object) -> Facts:
    """The facts with another VM."""
    found = facts.machine.get()
    assert found is not None
    return replace(facts, machine=known(replace(found, **changes)))  # type: ignore[arg-type]


def agent(facts: Facts = HEALTHY, **changes: object) -> Facts:
    """The facts with another agent."""
    return replace(facts, agent=known(replace(facts.agent.get(), **changes)))  # type: ignore[arg-type]


def linux(**changes: object) -> Facts:
    """A Linux guest that tells something else."""
    return replace(HEALTHY, linux=known(replace(LINUX, **changes)))  # type: ignore[arg-type]


def windows(**changes: object) -> Facts:
    """A Windows guest that tells something else."""
    return replace(HEALTHY_WINDOWS, windows=known(replace(WINDOWS, **changes)))  # type: ignore[arg-type]


def service(name: str, **changes: object) -> Facts:
    """A Windows guest one of whose services is otherwise."""
    changed = replace(WINDOWS.services[name], **changes)  # type: ignore[arg-type]
    return windows(services={**WINDOWS.services, name: changed})


def records(facts: Facts = HEALTHY, **changes: object) -> Facts:
    """Something else in the catalog."""
    return replace(facts, records=known(replace(facts.records.get(), **changes)))  # type: ignore[arg-type]


def policy(facts: Facts = HEALTHY, **changes: object) -> Facts:
    """Another content of the policy."""
    content = replace(POLICY.content, **changes)  # type: ignore[arg-type]
    changed = new_policy(POLICY_ID, VAULT_ID, "nightly", content)
    return records(facts, protection=replace(PROTECTION, policy=changed))
