"""What the service's answers mean, in the words of the model. These are also the shapes of ``--json``.

Sizes are bytes, times ISO 8601 in UTC. ``address`` is where the service keeps a resource; it is not
shown.
"""

from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from typing import Any, Self

from overwinter.cli.views_diagnosis import CauseView
from overwinter.cli.views_extension import ExtensionView
from overwinter.cli.views_freeze import FreezeView

Arm = dict[str, Any]

#: Metadata of a view's field that is there for the commands' own use, as every ``address`` is.
NOT_SHOWN = {"shown": False}


def to_json(value: object) -> object:
    """A view, or views in lists and objects, as JSON values."""
    if is_dataclass(value) and not isinstance(value, type):
        shown = [f.name for f in fields(value) if f.name != "address" and f.metadata.get("shown", True)]
        return {name: to_json(getattr(value, name)) for name in shown}
    if isinstance(value, (list, tuple)):
        return [to_json(part) for part in value]
    if isinstance(value, dict):
        return {name: to_json(part) for name, part in value.items()}
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value


def moment(text: str | None) -> datetime | None:
    """A time of an answer; null stays null."""
    return None if text is None else datetime.fromisoformat(text)


def sure_moment(text: str) -> datetime:
    """A time of an answer that is always there."""
    return datetime.fromisoformat(text)


@dataclass(frozen=True)
class DiskView:
    """A disk of a VM; ``path`` is the file it writes to, ``layers`` how many files it consists of."""

    target: str
    lun: int
    size: int
    format: str
    path: str
    layers: int


@dataclass(frozen=True)
class AgentView:
    """The guest agent of a VM; only asked for one VM at a time.

    ``state`` is one of the seven of the reference articles, ``message`` the reason. ``last_seen`` is when it
    last answered, and version and system are what it said then.
    """

    state: str
    ready: bool
    version: str
    os: str | None
    hostname: str | None
    message: str
    last_seen: datetime | None


@dataclass(frozen=True)
class MachineView:
    """A VM of the host. ``vault`` is where it is protected, ``failure`` what has stopped it, or empty."""

    address: str
    name: str
    uuid: str
    state: str
    failure: str
    vcpus: int
    memory: int
    firmware: str
    agent_connected: bool
    disks: tuple[DiskView, ...]
    skipped_disks: tuple[dict[str, str], ...]
    vault: str | None
    agent: AgentView | None
    extension: ExtensionView | None

    @classmethod
    def read(cls, arm: Arm, vault: str | None) -> Self:
        """From a VM of the compute API."""
        own = arm["properties"]["overwinter"]
        instance = arm["properties"].get("instanceView")
        return cls(
            address=arm["id"],
            name=arm["name"],
            uuid=arm["properties"]["vmId"],
            state=own["state"],
            failure=own["failure"],
            vcpus=own["vcpus"],
            memory=own["memoryBytes"],
            firmware=own["firmware"],
            agent_connected=own["agentConnected"],
            disks=tuple(_disk(disk) for disk in own["disks"]),
            skipped_disks=tuple(own["skippedDisks"]),
            vault=vault,
            agent=_agent(instance) if instance else None,
            extension=ExtensionView.of_instance(instance) if instance else None,
        )


def _disk(arm: Arm) -> DiskView:
    top = arm["chain"][0]
    return DiskView(
        arm["target"], arm["lun"], arm["size"], top["format"], top["path"], layers=len(arm["chain"])
    )


def _agent(arm: Arm) -> AgentView:
    status = arm["vmAgent"]["statuses"][0]
    system = " ".join(part for part in (arm["osName"], arm["osVersion"]) if part)
    own = arm["vmAgent"]["overwinter"]
    return AgentView(
        state=own["state"],
        ready=status["displayStatus"] == "Ready",
        version=arm["vmAgent"]["vmAgentVersion"],
        os=system or None,
        hostname=arm["computerName"],
        message=status["message"],
        last_seen=moment(own["lastSeen"]),
    )


@dataclass(frozen=True)
class VaultView:
    """A vault."""

    address: str
    name: str
    resource_group: str
    url: str
    key_kind: str
    key: str
    created: datetime
    stack: str
    soft_delete: str
    soft_delete_days: int
    immutability: str

    @classmethod
    def read(cls, arm: Arm) -> Self:
        """From a Recovery Services vault."""
        own = arm["properties"]["overwinter"]
        security = arm["properties"]["securitySettings"]
        return cls(
            address=arm["id"],
            name=arm["name"],
            resource_group=arm["id"].split("/")[4],
            url=own["url"],
            key_kind=own["keyKind"],
            key=own["keyReference"],
            created=sure_moment(own["created"]),
            stack=arm["properties"]["backupStorageVersion"],
            soft_delete=security["softDeleteSettings"]["softDeleteState"],
            soft_delete_days=security["softDeleteSettings"]["softDeleteRetentionPeriodInDays"],
            immutability=security["immutabilitySettings"]["state"],
        )


@dataclass(frozen=True)
class AttachedView:
    """A vault that was attached: what of it was new, and what of it could not be read."""

    vault: VaultView
    new_points: int
    new_vms: int
    problems: tuple[str, ...]

    @classmethod
    def read(cls, arm: Arm) -> Self:
        """From the answer to attaching."""
        new = arm["overwinter"]["takenIn"]
        return cls(VaultView.read(arm), new["points"], new["vms"], tuple(new["problems"]))


@dataclass(frozen=True)
class ItemView:
    """A protected item: a VM in a vault.

    ``deleted_until`` is set when its data is deleted and can be had back until then. ``disks`` lists the LUNs
    of the data disks that are left out, or with ``only_these_disks`` of the only ones that are backed up.
    """

    address: str
    vm: str
    vault: str
    policy: str
    state: str
    health: str
    deleted_until: datetime | None
    disks: tuple[int, ...]
    only_these_disks: bool
    last_backup: datetime | None
    last_backup_status: str

    @property
    def is_active(self) -> bool:
        """Whether backups may run."""
        return self.state in ("IRPending", "Protected")

    @property
    def protection(self) -> str:
        """The state for people, who must see that data is deleted."""
        return self.state if self.deleted_until is None else "Deleted"

    @classmethod
    def read(cls, arm: Arm) -> Self:
        """From a protected item."""
        known = arm["properties"]
        ran = bool(known["lastBackupStatus"])
        chosen = known["extendedProperties"]["diskExclusionProperties"]
        return cls(
            address=arm["id"],
            vm=known["friendlyName"],
            vault=arm["id"].split("/")[8],
            policy=known["policyName"],
            state=known["protectionState"],
            health=known["protectionStatus"],
            deleted_until=moment(known["deferredDeleteTimeInUTC"]),
            disks=tuple(chosen["diskLunList"]),
            only_these_disks=chosen["isInclusionList"],
            last_backup=moment(known["lastBackupTime"]) if ran else None,
            last_backup_status=known["lastBackupStatus"],
        )


@dataclass(frozen=True)
class PointView:
    """A recovery point; ``bytes_read`` and ``bytes_stored`` tell what its transfer cost."""

    address: str
    id: str
    vm: str
    vault: str
    created: datetime
    consistency: str
    tier: str
    expires: datetime | None
    rule: str | None
    incremental: bool
    bytes_read: int
    bytes_stored: int
    freeze_ms: int | None
    freeze: FreezeView | None
    warnings: tuple[str, ...]
    deleted_until: datetime | None

    @classmethod
    def read(cls, arm: Arm, item: ItemView) -> Self:
        """From a recovery point of an item."""
        known = arm["properties"]
        own = known["overwinter"]
        return cls(
            address=arm["id"],
            id=arm["name"],
            vm=item.vm,
            vault=item.vault,
            created=sure_moment(known["recoveryPointTime"]),
            consistency=known["recoveryPointType"],
            tier=own["tier"],
            expires=moment(known["recoveryPointProperties"]["expiryTime"]),
            rule=known["recoveryPointProperties"]["ruleName"],
            incremental=own["incremental"],
            bytes_read=own["bytesRead"],
            bytes_stored=own["bytesStored"],
            freeze_ms=own["freezeMs"],
            freeze=None if own["freeze"] is None else FreezeView.read(own["freeze"]),
            warnings=tuple(own["warnings"]),
            deleted_until=moment(own["deletedUntil"]),
        )


@dataclass(frozen=True)
class TaskView:
    """A task of a job; ``done`` and ``total`` are bytes where bytes are moved, else null."""

    name: str
    status: str
    started: datetime | None
    ended: datetime | None
    done: int | None
    total: int | None


@dataclass(frozen=True)
class ProblemView:
    """An error or warning of a job, with what to do about it.

    ``causes`` are in the order to look: what is confirmed, then what the service's support profile says.
    """

    code: str
    message: str
    recommendations: tuple[str, ...]
    causes: tuple[CauseView, ...] = ()


@dataclass(frozen=True)
class JobView:
    """A job. ``properties`` and ``report`` tell of its result; lists of jobs lack the report."""

    address: str
    id: str
    vault: str
    vm: str
    operation: str
    status: str
    started: datetime
    ended: datetime | None
    tasks: tuple[TaskView, ...]
    errors: tuple[ProblemView, ...]
    parameters: dict[str, object]
    properties: dict[str, object]
    report: Arm | None = None
    is_being_diagnosed: bool = field(default=False, metadata=NOT_SHOWN)

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self.status not in ("InProgress", "Cancelling")

    @property
    def is_success(self) -> bool:
        """Whether the job has ended and done its work, with or without warnings."""
        return self.status in ("Completed", "CompletedWithWarnings")

    @classmethod
    def read(cls, arm: Arm) -> Self:
        """From a backup job."""
        known = arm["properties"]
        return cls(
            address=arm["id"],
            id=arm["name"],
            vault=arm["id"].split("/")[8],
            vm=known["entityFriendlyName"],
            operation=known["operation"],
            status=known["status"],
            started=sure_moment(known["startTime"]),
            ended=moment(known.get("endTime")),
            tasks=tuple(_task(task) for task in known["extendedInfo"]["tasksList"]),
            errors=tuple(
                ProblemView(
                    row["errorTitle"],
                    row["errorString"],
                    tuple(row["recommendations"]),
                    tuple(CauseView.read(each) for each in row["overwinter"]["diagnosis"]),
                )
                for row in known["errorDetails"]
            ),
            parameters=known["overwinter"]["parameters"],
            properties=known["overwinter"]["properties"],
            report=known["overwinter"].get("report"),
            is_being_diagnosed=known["overwinter"]["diagnosis"]["pending"],
        )


def _task(arm: Arm) -> TaskView:
    return TaskView(
        name=arm["taskId"],
        status=arm["status"],
        started=moment(arm["startTime"]),
        ended=moment(arm["endTime"]),
        done=arm["overwinter"]["done"],
        total=arm["overwinter"]["total"],
    )
