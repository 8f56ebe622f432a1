"""Everything a check may know of one VM: a typed snapshot of facts. No check looks anywhere else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from overwinter.doctor.fact import Fact
from overwinter.model.agent import AgentStatus
from overwinter.model.guest_extension import ExtensionStatus
from overwinter.model.job import Job
from overwinter.model.lock import Lock
from overwinter.model.point import RecoveryPoint, RestorePoint
from overwinter.model.policy import Policy
from overwinter.model.profile import SupportProfile
from overwinter.model.protection import ProtectedItem, Vault
from overwinter.model.vm import BlockJob, VirtualMachine


@dataclass(frozen=True)
class Room:
    """Free and all bytes of the file system in which the overlays of some disks lie."""

    directory: str
    free: int
    total: int


@dataclass(frozen=True)
class LinuxGuest:
    """What a Linux guest told; null where it could not say.

    ``packaging``: programs at work that change installed packages; ``interrupted``: such work was broken off.
    ``python``: version of python3, empty when there is none. ``restart``: what systemd does when the agent's
    service ends. ``state``: systemd's state of the whole system. ``extensions`` and ``provisioning`` are
    options of the Azure agent, where it is configured. ``crashes`` of the agent and ``denials`` by SELinux
    are counted over a day.
    """

    reboot: bool | None = None
    packaging: tuple[str, ...] = ()
    interrupted: bool | None = None
    python: str | None = None
    restart: str | None = None
    state: str | None = None
    extensions: str | None = None
    provisioning: str | None = None
    crashes: int | None = None
    denials: int | None = None


@dataclass(frozen=True)
class WindowsService:
    """State, start mode and account of a service, in Windows' own words."""

    state: str
    start: str
    account: str


@dataclass(frozen=True)
class WindowsGuest:
    """What a Windows guest told; null where it could not say.

    ``dotnet`` is the release number of .NET 4, 0 when there is none. ``writers`` are the states of the VSS
    writers (1: stable). ``faults`` of the agent and ``blocked`` starts of it are counted over a day.
    """

    reboot: bool | None = None
    updating: bool | None = None
    dotnet: int | None = None
    services: Mapping[str, WindowsService] = field(default_factory=dict)
    writers: tuple[int, ...] | None = None
    faults: int | None = None
    blocked: int | None = None
    antivirus: bool | None = None
    excluded: bool | None = None


@dataclass(frozen=True)
class Protection:
    """The active item of a VM, or the last one, with its policy and vault."""

    item: ProtectedItem
    policy: Policy
    vault: Vault


@dataclass(frozen=True)
class Records:
    """What the catalog knows of a VM.

    ``locks`` are those that hold its restore points. ``active_jobs`` may change its disks and have not ended;
    ``backups`` have, newest first. ``unsettled``: a snapshot or a merge is noted that nobody has accounted
    for. ``verifications`` are those of the whole vault that have ended, newest first.
    """

    protection: Protection | None = None
    restore_points: tuple[RestorePoint, ...] = ()
    recovery_points: tuple[RecoveryPoint, ...] = ()
    locks: tuple[Lock, ...] = ()
    active_jobs: tuple[Job, ...] = ()
    backups: tuple[Job, ...] = ()
    unsettled: bool = False
    verifications: tuple[Job, ...] = ()


@dataclass(frozen=True)
class VaultHealth:
    """What the vault's storage told: why it cannot be used, and what of the newest point is damaged.

    Both are empty when all is well. ``newest`` is the id of the point that was looked at.
    """

    problem: str = ""
    damage: str = ""
    newest: str | None = None


@dataclass(frozen=True)
class Facts:
    """The facts of one VM at one moment.

    ``connection``: seconds that libvirt took to answer. ``machine``: null when it exists no more.
    ``block_jobs`` run on its disks, and ``standing_jobs`` are those of them that do not move. ``snapshots``:
    snapshots and checkpoints that libvirt keeps of it. ``secrets``: why one of an encrypted disk cannot be
    read; empty when all can. ``drift``: how far the guest's clock is ahead of the host's.
    """

    vm: str
    taken: datetime
    profile: SupportProfile
    connection: Fact[float]
    machine: Fact[VirtualMachine | None]
    block_jobs: Fact[tuple[BlockJob, ...]]
    standing_jobs: Fact[tuple[BlockJob, ...]]
    snapshots: Fact[tuple[str, ...]]
    secrets: Fact[str]
    rooms: Fact[tuple[Room, ...]]
    agent: Fact[AgentStatus]
    drift: Fact[timedelta]
    extension: Fact[ExtensionStatus]
    linux: Fact[LinuxGuest]
    windows: Fact[WindowsGuest]
    records: Fact[Records]
    vault: Fact[VaultHealth]
