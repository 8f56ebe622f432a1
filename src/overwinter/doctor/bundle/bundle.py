"""Making a support bundle: which files there are, each asked for in turn, each bounded in time and size.

What cannot be had is told in the README with the reason; the rest is there all the same.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import IO
from uuid import UUID

from overwinter.doctor.asking import Asking
from overwinter.doctor.bundle import documents, guest, host
from overwinter.doctor.bundle.archive import Archive, Json
from overwinter.doctor.bundle.documents import plain
from overwinter.doctor.bundle.known_secrets import known_secrets
from overwinter.doctor.collect import collect
from overwinter.doctor.fact import Known, NotKnown, Source
from overwinter.doctor.facts import Facts
from overwinter.doctor.report import examine
from overwinter.guest.agent import GuestAgent
from overwinter.hypervisor import shown
from overwinter.hypervisor.logs import versions
from overwinter.jobs.runtime import Runtime
from overwinter.model.agent import SystemFamily
from overwinter.model.errors import InternalError
from overwinter.model.redaction import Redactor
from overwinter.model.vm import VirtualMachine

_HOST = Source.HOST

#: Seconds for one file, by who has it.
FILE_LIMITS_S = {Source.LIBVIRT: 10.0, Source.HOST: 30.0, Source.CATALOG: 10.0, Source.GUEST: 20.0}


@dataclass(frozen=True)
class Part:
    """One file of a bundle; ``content`` may raise the model's errors and NotKnown."""

    name: str
    what: str
    source: Source
    content: Callable[[], str | Json]


def write_bundle(runtime: Runtime, vm: str, file: IO[bytes]) -> None:
    """Write the bundle of the VM of that name or UUID.

    Raises NotFound when neither libvirt nor the catalog knows it, InternalError.
    """
    facts = collect(runtime, vm)
    secrets = known_secrets(runtime)
    archive = Archive(file, Redactor(secrets.values), facts.vm, facts.taken)
    for part in _parts(runtime, facts):
        try:
            asked = Asking(
                part.source, part.content, timeout_s=FILE_LIMITS_S[part.source], clock=runtime.clock
            ).fact()
        except InternalError as defect:
            archive.miss(part.name, part.what, defect.message)
            continue
        if isinstance(asked, Known):
            archive.add(part.name, part.what, asked.value)
        else:
            archive.miss(part.name, part.what, asked.reason)
    archive.close(secrets.gaps)


def _parts(runtime: Runtime, facts: Facts) -> Iterator[Part]:
    report = examine(facts)
    settings = runtime.settings
    yield Part("report.txt", "What the doctor found.", _HOST, lambda: documents.report_text(report))
    yield Part("report.json", "The same as a document.", _HOST, lambda: Json(documents.report(report)))
    yield Part("facts.json", "What the doctor was told, by whom and when.", _HOST, lambda: Json(plain(facts)))
    yield Part(
        "versions.json", "Versions of the service and its host.", _HOST, lambda: Json(documents.versions())
    )
    yield Part("settings.json", "How the service was started.", _HOST, lambda: Json(plain(settings)))
    yield from _records(runtime, facts)
    yield from _libvirt(runtime, facts)
    yield from _host(runtime, facts)
    yield from _guest(runtime, facts)


def _records(runtime: Runtime, facts: Facts) -> Iterator[Part]:
    yield Part(
        "protection.json",
        "Protected item, policy and vault; null when the VM is not protected.",
        Source.CATALOG,
        lambda: Json(documents.protection(facts.records.get().protection)),
    )
    yield Part(
        "jobs.json",
        f"The last {documents.JOBS} jobs of the VM with tasks, problems and reports, newest first.",
        Source.CATALOG,
        lambda: Json(documents.jobs(runtime, _identity(facts))),
    )


def _libvirt(runtime: Runtime, facts: Facts) -> Iterator[Part]:
    yield Part(
        "vm/versions.json",
        "Versions of libvirt and QEMU.",
        Source.LIBVIRT,
        lambda: Json(plain(versions(runtime.hypervisor))),
    )
    yield Part(
        "vm/definition.xml",
        "The VM's definition, as it will be at its next start. Other programs' metadata was taken out.",
        Source.LIBVIRT,
        lambda: shown.persistent(runtime.hypervisor, _identity(facts)),
    )
    yield Part(
        "vm/running.xml",
        "The same as it runs now.",
        Source.LIBVIRT,
        lambda: shown.running(runtime.hypervisor, _identity(facts)),
    )


def _host(runtime: Runtime, facts: Facts) -> Iterator[Part]:
    names = _names(facts)
    yield Part(
        "host/service.log",
        f"The end of the service's log, at most {host.SERVICE_BYTES >> 20} MiB.",
        Source.HOST,
        lambda: host.service_log(runtime.settings),
    )
    yield Part(
        "host/qemu.log",
        f"The end of QEMU's log of the VM, at most {host.QEMU_BYTES >> 20} MiB.",
        Source.HOST,
        lambda: host.qemu_log(facts.vm),
    )
    yield Part(
        "host/libvirt.log",
        "What libvirt's daemons logged of the VM, and their warnings and errors.",
        Source.HOST,
        lambda: host.libvirt_log(names),
    )
    yield Part(
        "host/kernel.log",
        "The kernel's warnings and errors about VMs, memory and storage.",
        Source.HOST,
        host.kernel_log,
    )


def _guest(runtime: Runtime, facts: Facts) -> Iterator[Part]:
    def part(name: str, what: str, content: Callable[[GuestAgent], str]) -> Part:
        return Part(name, what, Source.GUEST, lambda: content(_agent(runtime, facts)))

    yield part("guest/agent.log", "What the guest logged of its agent.", guest.agent_log)
    for name, what, path in guest.FILES:
        yield part(name, what, partial(guest.file, path=path))


def _machine(facts: Facts) -> VirtualMachine:
    machine = facts.machine.get()
    if machine is None:
        raise NotKnown("libvirt does not have the VM any more.")
    return machine


def _identity(facts: Facts) -> UUID:
    machine = facts.machine.value if isinstance(facts.machine, Known) else None
    if machine is not None:
        return machine.uuid
    protection = facts.records.get().protection
    if protection is None:
        raise NotKnown("Nobody could tell which VM it is.")
    return protection.item.vm_uuid


def _names(facts: Facts) -> tuple[str, ...]:
    """All by which a log may call the VM."""
    try:
        return (facts.vm, str(_identity(facts)))
    except NotKnown:
        return (facts.vm,)


def _agent(runtime: Runtime, facts: Facts) -> GuestAgent:
    """The agent, if it can be asked. Raises NotKnown."""
    status = facts.agent.get()
    if status.info is None:
        raise NotKnown(f"The guest cannot be asked: {status.reason}")
    if status.frozen:
        raise NotKnown("The guest is frozen, and tells nothing until it is thawed.")
    if status.system is None or status.system.family is not SystemFamily.LINUX:
        raise NotKnown("Files are brought out of Linux guests only.")
    return GuestAgent(runtime.hypervisor, _machine(facts).uuid)
