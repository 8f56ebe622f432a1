"""The libvirt daemons: started by hand where no init system runs them, ended by the last one who needs them.

Daemons that run already are left alone. Those started here carry a mark in their environment; they end when
the last process that asked for them is done, also when an earlier one was killed before it could end them.
"""

import fcntl
import grp
import os
import select
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from testkit.waiting import wait_until

#: Held exclusively while daemons are started or ended.
TURN_LOCK = Path("/run/overwinter-daemons.lock")
#: Held shared by every process that uses the daemons.
USERS_LOCK = Path("/run/overwinter-daemons-users.lock")

#: In the environment of every daemon started here.
MARK = "OVERWINTER_STARTED_DAEMON"

LIBVIRT_URI = "qemu:///system"

_END_LIMIT_S = 30.0


@dataclass(frozen=True)
class Daemon:
    """One daemon: how it is called and where it answers."""

    name: str
    socket: Path
    pid_file: Path

    @property
    def answers(self) -> bool:
        """Whether something accepts connections on the daemon's socket."""
        with socket.socket(socket.AF_UNIX) as connection:
            return connection.connect_ex(str(self.socket)) == 0

    @property
    def pid(self) -> int | None:
        """Process id, if the daemon runs."""
        with suppress(FileNotFoundError, ValueError):
            pid = int(self.pid_file.read_text())
            if self._environment(pid) is not None:
                return pid
        return None

    @property
    def is_ours(self) -> bool:
        """Whether it runs and was started here, now or by an earlier run."""
        pid = self.pid
        return pid is not None and MARK.encode() in (self._environment(pid) or b"")

    def _environment(self, pid: int) -> bytes | None:
        """Environment of the process if it is this daemon."""
        process = Path("/proc") / str(pid)
        with suppress(FileNotFoundError, ProcessLookupError):
            if (process / "comm").read_text().strip() == self.name:
                return (process / "environ").read_bytes() or None  # empty for one that ended already
        return None

    def start(self) -> None:
        """Start it in the background and wait until it answers."""
        environment = {"PATH": os.environ["PATH"], MARK: "1"}
        subprocess.run([self.name, "-d"], cwd="/", env=environment, stdin=subprocess.DEVNULL, check=True)
        wait_until(lambda: self.answers, f"{self.name} does not answer on {self.socket}")

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it and wait until it is gone. Domains go on running without libvirtd."""
        pid = self.pid
        if pid is None:
            return
        process = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(process, how)
            # Not by its entry in /proc: other threads may hold its files for longer than the first one lives.
            ended, _, _ = select.select([process], [], [], _END_LIMIT_S)
        finally:
            os.close(process)
        if not ended:
            raise TimeoutError(f"{self.name} ({pid}) does not end")


VIRTLOGD = Daemon("virtlogd", Path("/run/libvirt/virtlogd-sock"), Path("/run/virtlogd.pid"))
LIBVIRTD = Daemon("libvirtd", Path("/run/libvirt/libvirt-sock"), Path("/run/libvirtd.pid"))


@contextmanager
def libvirt_daemons() -> Iterator[tuple[Daemon, ...]]:
    """Have virtlogd and libvirtd running; yields those started for this call."""
    if Path("/run/systemd/system").is_dir():
        subprocess.run(["systemctl", "start", "virtlogd.socket", "libvirtd.service"], check=True)
        yield ()
        return
    with USERS_LOCK.open("w") as users:
        with _turn():
            _give_kvm_to_its_group()
            started = tuple(daemon for daemon in (VIRTLOGD, LIBVIRTD) if not daemon.answers)
            for daemon in started:
                daemon.start()
            fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield started
        finally:
            with _turn(), suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for daemon in (LIBVIRTD, VIRTLOGD):
                    if daemon.is_ours:
                        daemon.end()


def _give_kvm_to_its_group() -> None:
    """Let group ``kvm``, to which QEMU's user belongs, use /dev/kvm, as udev does on a Debian machine.

    While only root may, libvirtd finds KVM at its own probe and finds it missing for QEMU's user, throws its
    knowledge of QEMU away and probes again at every single request: seconds to a minute each.
    """
    device, group = Path("/dev/kvm"), grp.getgrnam("kvm").gr_gid
    if device.exists() and device.stat().st_gid != group:
        os.chown(device, -1, group)
        device.chmod(0o660)


@contextmanager
def _turn() -> Iterator[None]:
    with TURN_LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
