"""Gathering the facts of a VM: libvirt, host, guest, catalog and vault are asked at the same time.

Each answer is waited for so long and no longer, so a doctor's visit ends, whatever hangs. A question that
needs a fact nobody could tell is unknown for the same reason. Nothing else in this room asks anybody.
"""

import shutil
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from overwinter.doctor import guest_told, records
from overwinter.doctor.asking import Asking
from overwinter.doctor.fact import Fact, Known, NotKnown, Source
from overwinter.doctor.facts import Facts, LinuxGuest, Records, Room, VaultHealth, WindowsGuest
from overwinter.guest.agent import GuestAgent
from overwinter.guest.extension import GuestExtension
from overwinter.hypervisor import inventory, stale_job, traces
from overwinter.hypervisor import secrets as libvirt_secrets
from overwinter.jobs import guest_agents
from overwinter.jobs.runtime import Runtime
from overwinter.model.agent import AgentStatus, SystemFamily
from overwinter.model.errors import NotFound, SecretUnreadable, SnapshotFailed, VaultDataCorrupt, VaultError
from overwinter.model.guest_extension import ExtensionStatus
from overwinter.model.protection import ProtectedItem
from overwinter.model.vm import BlockJob, VirtualMachine

#: Seconds to wait for an answer of each.
LIMITS_S = {
    Source.LIBVIRT: 8.0,
    Source.HOST: 5.0,
    Source.CATALOG: 8.0,
    Source.VAULT: 10.0,
    Source.GUEST: 20.0,
}

#: Seconds in which a block job that is at work moves.
STANDING_S = 2.0

T = TypeVar("T")

_Machine = Fact[VirtualMachine | None]


def collect(runtime: Runtime, vm: str) -> Facts:
    """The facts of the VM of that name or UUID.

    Raises NotFound when neither libvirt nor the catalog knows it, InternalError.
    """
    now = runtime.clock()

    def ask(source: Source, question: Callable[[], T]) -> Asking[T]:
        return Asking(source, question, timeout_s=LIMITS_S[source], clock=runtime.clock)

    answering = ask(Source.LIBVIRT, lambda: _response_time(runtime))
    looked_up = ask(Source.LIBVIRT, lambda: _machine(runtime, vm))
    item = ask(Source.CATALOG, lambda: records.find_item(runtime, vm)).fact()
    machine = looked_up.fact()
    if _is_nothing(machine) and _is_nothing(item):
        raise NotFound(f"There is no VM {vm!r}, neither on this host nor in the catalog.")
    known = ask(Source.CATALOG, lambda: records.read(runtime, _identity(machine, item)))
    status = ask(Source.GUEST, lambda: guest_agents.status_of(runtime, _present(machine)))
    jobs = ask(Source.LIBVIRT, lambda: traces.block_jobs(runtime.hypervisor, _present(machine).uuid))
    standing = ask(Source.LIBVIRT, lambda: _standing(runtime, _present(machine)))
    kept = ask(Source.LIBVIRT, lambda: traces.snapshots(runtime.hypervisor, _present(machine).uuid))
    secrets = ask(Source.LIBVIRT, lambda: _secrets(runtime, _present(machine)))
    rooms = ask(Source.HOST, lambda: _rooms(_present(machine)))
    told = known.fact()
    vault = ask(Source.VAULT, lambda: _vault(runtime, told.get()))
    agent = status.fact()
    drift = ask(Source.GUEST, lambda: _drift(runtime, _present(machine), agent.get())).fact()
    extension = ask(Source.GUEST, lambda: _extension(runtime, _present(machine), agent.get())).fact()
    linux = ask(Source.GUEST, lambda: _linux(runtime, _present(machine), agent.get())).fact()
    windows = ask(Source.GUEST, lambda: _windows(runtime, _present(machine), agent.get())).fact()
    return Facts(
        vm=_name(vm, machine),
        taken=now,
        profile=runtime.settings.profile,
        connection=answering.fact(),
        machine=machine,
        block_jobs=jobs.fact(),
        standing_jobs=standing.fact(),
        snapshots=kept.fact(),
        secrets=secrets.fact(),
        rooms=rooms.fact(),
        agent=agent,
        drift=drift,
        extension=extension,
        linux=linux,
        windows=windows,
        records=told,
        vault=vault.fact(),
    )


def _response_time(runtime: Runtime) -> float:
    begun = time.monotonic()
    inventory.names(runtime.hypervisor)
    return time.monotonic() - begun


def _machine(runtime: Runtime, vm: str) -> VirtualMachine | None:
    try:
        return inventory.machine(runtime.hypervisor, vm)
    except NotFound:
        alike = (uuid for uuid, name in inventory.names(runtime.hypervisor).items() if _alike(name, vm))
        found = next(alike, None)
        return None if found is None else inventory.machine(runtime.hypervisor, found)


def _alike(name: str, other: str) -> bool:
    """Whether two names differ in letter case only, which the API does not see."""
    return name.casefold() == other.casefold()


def _name(vm: str, machine: _Machine) -> str:
    return machine.value.name if isinstance(machine, Known) and machine.value is not None else vm


def _is_nothing(fact: Fact[object]) -> bool:
    return isinstance(fact, Known) and fact.value is None


def _identity(machine: _Machine, item: Fact[ProtectedItem | None]) -> UUID:
    """Whom the catalog is asked about: the VM that libvirt has, else the one that was protected."""
    found = machine.value if isinstance(machine, Known) else None
    if found is not None:
        return found.uuid
    noted = item.get()
    return _present(machine).uuid if noted is None else noted.vm_uuid


def _present(machine: _Machine) -> VirtualMachine:
    found = machine.get()
    if found is None:
        raise NotKnown("The VM does not exist any more.")
    return found


def _standing(runtime: Runtime, machine: VirtualMachine) -> tuple[BlockJob, ...]:
    found = stale_job.standing(runtime.hypervisor, machine.uuid, STANDING_S)
    return tuple(sorted(found, key=lambda job: job.target))


def _secrets(runtime: Runtime, machine: VirtualMachine) -> str:
    try:
        libvirt_secrets.check_readable(runtime.hypervisor, machine)
    except SecretUnreadable as error:
        return error.message
    return ""


def _rooms(machine: VirtualMachine) -> tuple[Room, ...]:
    found = []
    for directory in sorted({str(Path(disk.original.path).parent) for disk in machine.disks}):
        try:
            usage = shutil.disk_usage(directory)
        except OSError as error:
            raise SnapshotFailed(f"{directory} cannot be used: {error}") from error
        found.append(Room(directory, usage.free, usage.total))
    return tuple(found)


def _willing(runtime: Runtime, machine: VirtualMachine, status: AgentStatus) -> GuestAgent:
    """The agent, if it can be asked more now."""
    if status.info is None:
        raise NotKnown(f"The guest cannot be asked: {status.reason}")
    if status.frozen:
        raise NotKnown("The guest is frozen, and tells nothing until it is thawed.")
    return GuestAgent(runtime.hypervisor, machine.uuid)


def _drift(runtime: Runtime, machine: VirtualMachine, status: AgentStatus) -> timedelta:
    """How far the guest's clock is ahead of the host's, to the length of one call."""
    agent = _willing(runtime, machine, status)
    before = runtime.clock()
    shown = agent.clock()
    after = runtime.clock()
    return shown - (before + (after - before) / 2)


def _extension(runtime: Runtime, machine: VirtualMachine, status: AgentStatus) -> ExtensionStatus:
    return GuestExtension(_willing(runtime, machine, status)).status()


def _family(status: AgentStatus, wanted: SystemFamily) -> None:
    if status.system is None or status.system.family is not wanted:
        raise NotKnown(f"The guest's system is not known to be {wanted}.")


def _linux(runtime: Runtime, machine: VirtualMachine, status: AgentStatus) -> LinuxGuest:
    _family(status, SystemFamily.LINUX)
    return guest_told.linux(_willing(runtime, machine, status))


def _windows(runtime: Runtime, machine: VirtualMachine, status: AgentStatus) -> WindowsGuest:
    _family(status, SystemFamily.WINDOWS)
    return guest_told.windows(_willing(runtime, machine, status))


def _vault(runtime: Runtime, known: Records) -> VaultHealth:
    """Whether the vault opens, and the newest point of the VM in it can be found and read."""
    if known.protection is None:
        raise NotKnown("The VM is not protected.")
    stored = [point for point in known.recovery_points if point.manifest is not None]
    newest = max(stored, key=lambda point: point.created, default=None)
    shown = None if newest is None else newest.id
    try:
        store = runtime.vaults.open(known.protection.vault)
        store.rules()
        if newest is not None and newest.manifest is not None:
            store.manifest(newest.manifest)
    except (VaultDataCorrupt, NotFound) as error:
        return VaultHealth(damage=error.message, newest=shown)
    except VaultError as error:
        return VaultHealth(problem=error.message, newest=shown)
    return VaultHealth(newest=shown)
