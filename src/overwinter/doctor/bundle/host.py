"""What the host says: logs of the service, of QEMU and libvirt, and of the system only what concerns us."""

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable

from overwinter.doctor.bundle.tail import last_lines, printable, tail
from overwinter.doctor.fact import NotKnown
from overwinter.hypervisor import logs
from overwinter.model.settings import Settings

SERVICE_BYTES = 2 << 20
QEMU_BYTES = 1 << 20
OTHER_BYTES = 512 << 10

#: How much of a long log is looked through for the lines that concern us.
_LOOKED_THROUGH = 8 << 20

#: Seconds for a program of the host.
_PROGRAM_S = 10
_JOURNAL = ("journalctl", "--quiet", "--lines=2000", "--no-pager", "--output=short-iso")

#: libvirt's own way to write problems; everything else it logs may be about other VMs.
_PROBLEM = re.compile(r": (?:error|warning) : ")

#: What in the kernel's log can stop a VM or its backup: memory, storage, virtualization, confinement.
_CONCERNS = re.compile(
    r"kvm|qemu|libvirt|apparmor|selinux|avc:|out of memory|oom|killed process|i/o error|blocked for more than"
    r"|ext4|xfs|btrfs|nfs|nvme|\bata\d|\bsd[a-z]|device-mapper|no space|remount|soft lockup|clocksource",
    re.IGNORECASE,
)


def service_log(settings: Settings) -> str:
    """The end of the service's own log, the file before the present one included. Raises NotKnown."""
    newest = tail(settings.log_file, SERVICE_BYTES)
    older = settings.log_file.with_name(f"{settings.log_file.name}.1")
    room = SERVICE_BYTES - len(newest.encode())
    return (tail(older, room) if older.exists() and room > 0 else "") + newest


def qemu_log(vm: str) -> str:
    """The end of QEMU's log of a domain. Raises NotKnown."""
    return tail(logs.domain_log(vm), QEMU_BYTES)


def libvirt_log(names: Iterable[str]) -> str:
    """What libvirt's daemons say of a VM (by its names), and their problems. Raises NotKnown."""
    wanted = tuple(names)
    found = [tail(file, _LOOKED_THROUGH) for file in logs.DAEMON_LOGS if file.is_file()]
    units = [f"--unit={unit}" for unit in logs.DAEMON_UNITS]
    try:
        found.append(_output(*_JOURNAL, *units))
    except NotKnown:
        if not found:
            raise
    return _only(found, lambda line: any(name in line for name in wanted) or bool(_PROBLEM.search(line)))


def kernel_log() -> str:
    """The kernel's warnings and errors that concern VMs, their memory or their storage. Raises NotKnown."""
    try:
        said = _output(*_JOURNAL, "--dmesg", "--priority=warning")
    except NotKnown:
        said = _output("dmesg", "--level=emerg,alert,crit,err,warn", "--time-format=iso")
    return _only([said], lambda line: bool(_CONCERNS.search(line)))


def _only(texts: Iterable[str], wanted: Callable[[str], bool]) -> str:
    lines = [line for text in texts for line in text.splitlines(keepends=True) if wanted(line)]
    return last_lines("".join(lines).encode(), OTHER_BYTES).decode()


def _output(*command: str) -> str:
    """The end of what a program writes. Raises NotKnown when it cannot be run, fails or takes too long."""
    with tempfile.TemporaryFile() as output:
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.DEVNULL,
                timeout=_PROGRAM_S, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NotKnown(f"{command[0]} cannot be asked: {error}") from error
        size = output.seek(0, os.SEEK_END)
        if done.returncode != 0 or size == 0:
            raise NotKnown(f"{command[0]} has nothing to tell (exit status {done.returncode}).")
        output.seek(max(0, size - _LOOKED_THROUGH - 1))
        return printable(last_lines(output.read(), _LOOKED_THROUGH))
