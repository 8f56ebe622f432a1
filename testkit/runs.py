"""One run of tests or of the demo: its name, its directory, and clean-up after runs that were killed.

A run holds a lock on a file in its directory for as long as its process lives. A directory whose lock can be
taken belongs to a dead run: its domains, processes and files are removed by whoever comes next.
"""

import fcntl
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import libvirt

from testkit.daemons import LIBVIRT_URI
from testkit.waiting import wait_until

#: Every domain and every directory of a run carries its id behind this prefix.
DOMAIN_PREFIX = "owtest-"
DIRECTORY_PREFIX = "overwinter-tests-"

#: QEMU runs as its own user, so its images lie where every user may go.
BASE = Path("/var/tmp")

#: Held while runs are made or swept, so that a run half made is not taken for a dead one. It lies beside the
#: runs, because programs with a libvirt of their own have a /run of their own too.
SWEEP_LOCK = BASE / "overwinter-tests.lock"

#: Every process started within a run inherits this variable and can thus be found after the run was killed.
RUN_VARIABLE = "OVERWINTER_TEST_RUN"


@dataclass(frozen=True)
class Run:
    """A living run."""

    id: str

    @property
    def directory(self) -> Path:
        """Holds every file of the run."""
        return BASE / f"{DIRECTORY_PREFIX}{self.id}"

    @property
    def lock(self) -> Path:
        """Locked as long as the run's process lives."""
        return self.directory / "lock"

    def domain_name(self, name: str) -> str:
        """The full name of a domain of this run; only domains named so are cleaned up."""
        return f"{DOMAIN_PREFIX}{self.id}-{name}"


@contextmanager
def begin_run() -> Iterator[Run]:
    """A run of this process: sweeps dead runs first, and at the end removes all that it made itself.

    It connects to libvirt each time, because libvirtd may be restarted within a run.
    """
    run = Run(uuid4().hex[:8])
    with _locked(SWEEP_LOCK), closing(libvirt.open(LIBVIRT_URI)) as connection:
        _sweep(connection)
        run.directory.mkdir(mode=0o755)
        lock = run.lock.open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    os.environ[RUN_VARIABLE] = run.id
    try:
        yield run
    finally:
        del os.environ[RUN_VARIABLE]
        with closing(libvirt.open(LIBVIRT_URI)) as connection:
            _remove(run.id, connection)
        lock.close()


def sweep_leftovers(connection: libvirt.virConnect) -> None:
    """Remove everything that runs left behind whose process is dead."""
    with _locked(SWEEP_LOCK):
        _sweep(connection)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _sweep(connection: libvirt.virConnect) -> None:
    seen = {path.name.removeprefix(DIRECTORY_PREFIX) for path in BASE.glob(f"{DIRECTORY_PREFIX}*")}
    for domain in connection.listAllDomains():
        if domain.name().startswith(DOMAIN_PREFIX):
            seen.add(domain.name().removeprefix(DOMAIN_PREFIX).partition("-")[0])
    for run_id in seen:
        if not _is_alive(Run(run_id)):
            _remove(run_id, connection)


def _is_alive(run: Run) -> bool:
    """Whether some process holds the run's lock; a run without a directory is dead."""
    try:
        with run.lock.open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _remove(run_id: str, connection: libvirt.virConnect) -> None:
    """Processes first, as they might make more; the directory last, so that others find what is left."""
    run = Run(run_id)
    _end_processes(run_id)
    for domain in connection.listAllDomains():
        if domain.name().startswith(run.domain_name("")):
            remove_domain(domain)
    for place in _mounts_below(run.directory):
        subprocess.run(["umount", "--lazy", place], check=False)
    # Files under a lock are immutable, and a killed service cannot have unlocked them.
    subprocess.run(["chattr", "-R", "-f", "-i", str(run.directory)], check=False, capture_output=True)
    shutil.rmtree(run.directory, ignore_errors=True)


def _mounts_below(directory: Path) -> list[str]:
    """Where file systems are mounted, the innermost first. Our names have nothing in them to be escaped."""
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return sorted((place for place in mounts if place.startswith(f"{directory}/")), reverse=True)


def remove_domain(domain: libvirt.virDomain) -> None:
    """Destroy and undefine a domain with everything libvirt keeps about it; its disk files stay."""
    everything = (
        libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
        | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
        | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
        | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
    )
    for act in (domain.destroy, lambda: domain.undefineFlags(everything)):
        try:
            act()
        except libvirt.libvirtError as error:
            # Not running, or gone as soon as it was destroyed: that is what is wanted.
            if error.get_error_code() not in (libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_DOMAIN):
                raise


def _end_processes(run_id: str) -> None:
    for how, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        for process in _processes_of(run_id):
            with suppress(ProcessLookupError):
                os.kill(process, how)
        with suppress(TimeoutError):
            wait_until(lambda: not _processes_of(run_id), f"processes of run {run_id} do not end", patience)
            return


def _processes_of(run_id: str) -> list[int]:
    """Processes that were started within a run, except the caller."""
    mark = f"{RUN_VARIABLE}={run_id}".encode()
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            pid = int(environment.parent.name)
            if pid != os.getpid() and mark in environment.read_bytes().split(b"\0"):
                found.append(pid)
    return found
