"""The deadman of a plain agent freeze: a process of its own that thaws the guest when nobody else does.

    python -m overwinter.guest.guard VM-UUID LIBVIRT-URI HARD-STOP-SECONDS

It says ``ready`` once libvirt answers; from then on the hard stop runs. ``done`` on its standard input ends
it without a trace. When the input closes instead (its parent died) or the hard stop comes, it says ``fired``
and thaws until the guest confirms. It then watches on for a freeze that was still under way: for the length
of the hard stop, and for as long as its parent lives without having said ``done``.

It has a session of its own and ignores the signals that end its parent's; only SIGKILL ends it early. A
service manager must leave it alone when its parent ends (systemd: ``KillMode=process``).
"""

import errno
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from uuid import UUID

from overwinter.guest.agent import GuestAgent
from overwinter.guest.thaw import is_off, thaw_confirmed
from overwinter.hypervisor.connection import Hypervisor
from overwinter.model.errors import GuestAgentUnavailable, HypervisorError, NotFound

READY = "ready"
FIRED = "fired"
DONE = b"done\n"

_POLL_SECONDS = 0.5

#: A guest that cannot be thawed for so long needs a person.
GIVE_UP_SECONDS = 3600.0


class _Parent:
    """What the parent says over the pipe."""

    def __init__(self) -> None:
        self.done = False
        self.gone = False
        self._heard = b""

    def listen(self, seconds: float) -> None:
        """Wait for a word of the parent, at most so long."""
        if self.gone:
            time.sleep(seconds)
            return
        readable, _, _ = select.select([sys.stdin.fileno()], [], [], max(0.0, seconds))
        if not readable:
            return
        piece = os.read(sys.stdin.fileno(), 64)
        self._heard += piece
        self.done = DONE in self._heard
        self.gone = not piece


def guard(hypervisor: Hypervisor, vm_uuid: UUID, hard_stop_s: float) -> bool:
    """Stand guard until the parent says that all is done; true when nobody needs to look after the guest."""
    with _only_guard(vm_uuid):
        with hypervisor.domain(vm_uuid):
            pass  # the connection is open before the window begins
        return _stand(hypervisor, vm_uuid, hard_stop_s)


def _stand(hypervisor: Hypervisor, vm_uuid: UUID, hard_stop_s: float) -> bool:
    parent = _Parent()
    deadline = time.monotonic() + hard_stop_s
    _say(READY)
    while not parent.done and not parent.gone and time.monotonic() < deadline:
        parent.listen(deadline - time.monotonic())
    if parent.done:
        return True
    _say(FIRED)
    return _thaw_for_good(hypervisor, vm_uuid, parent, hard_stop_s)


def _only_guard(vm_uuid: UUID) -> socket.socket:
    """Wait until no other guard of this VM is left, then be the one.

    A guard that was set off watches on for a while; it would thaw the next freeze, taking it for a late one.
    A name in the abstract socket space is free again as soon as its process ends, however it ends.
    """
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    while True:
        try:
            claim.bind(f"\0overwinter-guard-{vm_uuid}")
            return claim
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            time.sleep(_POLL_SECONDS)


def _thaw_for_good(hypervisor: Hypervisor, vm_uuid: UUID, parent: _Parent, settle_s: float) -> bool:
    agent = GuestAgent(hypervisor, vm_uuid)
    give_up = time.monotonic() + GIVE_UP_SECONDS
    thawed_since: float | None = None
    while not parent.done:
        now = time.monotonic()
        try:
            if is_off(hypervisor, vm_uuid):
                return True
            if thawed_since is None or agent.frozen():
                thawed_since = now if thaw_confirmed(agent) else None
        except (HypervisorError, GuestAgentUnavailable, NotFound):
            thawed_since = None
        if thawed_since is None and now > give_up:
            return False
        if thawed_since is not None and parent.gone and now - thawed_since > settle_s:
            return True
        parent.listen(_POLL_SECONDS)
    return True


def _say(word: str) -> None:
    with suppress(OSError):
        print(word, flush=True)


def main(arguments: list[str]) -> int:
    """Run the guard as a process."""
    for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    vm_uuid, uri, hard_stop = arguments
    return 0 if guard(Hypervisor(uri), UUID(vm_uuid), float(hard_stop)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
