"""The deadman on a real guest: whatever happens to the process that froze it, it is thawed in seconds."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from overwinter.guest.agent import GuestAgent
from overwinter.guest.freeze_guard import FreezeGuard
from overwinter.guest.thaw import ensure_thawed
from overwinter.hypervisor.connection import DEFAULT_URI, Hypervisor
from overwinter.model.errors import FreezeFailed
from testkit.waiting import wait_until

pytestmark = pytest.mark.libvirt

FREEZER = """
import sys, time
from uuid import UUID
from overwinter.guest.agent import GuestAgent
from overwinter.guest.freeze_guard import FreezeGuard
from overwinter.hypervisor.connection import Hypervisor
uuid, hard_stop = UUID(sys.argv[1]), float(sys.argv[2])
hypervisor = Hypervisor()
guard = FreezeGuard.start(hypervisor.uri, uuid, hard_stop)
GuestAgent(hypervisor, uuid).freeze(timeout_s=5)
print(guard._process.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def thawed_in_the_end(hypervisor: Hypervisor, uuid: UUID) -> Iterator[None]:
    yield
    ensure_thawed(hypervisor, uuid, timeout_s=20)


def frozen_by_another(uuid: UUID, hard_stop: float) -> tuple["subprocess.Popen[bytes]", int]:
    """A process that has frozen the guest under guard, and the guard's process id."""
    process = subprocess.Popen(
        [sys.executable, "-c", FREEZER, str(uuid), str(hard_stop)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.communicate()


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_killed_freezer_leaves_a_thawed_guest(agent: GuestAgent, uuid: UUID) -> None:
    process, guard_pid = frozen_by_another(uuid, hard_stop=30)
    try:
        assert agent.frozen()
        assert os.getsid(guard_pid) == guard_pid
        os.kill(process.pid, signal.SIGKILL)
        killed = time.monotonic()
        wait_until(lambda: not agent.frozen(), "the guest stays frozen", limit=5)
        assert time.monotonic() - killed < 5
        os.kill(guard_pid, signal.SIGTERM)  # a service manager ending the rest: it watches on
        assert not is_gone(guard_pid)
    finally:
        end(process)
        os.kill(guard_pid, signal.SIGKILL)


def test_the_hard_stop_thaws_while_the_freezer_hangs(agent: GuestAgent, uuid: UUID) -> None:
    process, guard_pid = frozen_by_another(uuid, hard_stop=2)
    try:
        wait_until(lambda: not agent.frozen(), "the guest stays frozen", limit=10)
        agent.freeze(timeout_s=5)  # a late freeze of the hanging process
        wait_until(lambda: not agent.frozen(), "the late freeze stays", limit=10)
    finally:
        end(process)
    wait_until(lambda: is_gone(guard_pid), "the guard does not end", limit=20)


def test_a_freeze_that_comes_after_the_death_of_its_sender_is_thawed_too(
    agent: GuestAgent, uuid: UUID
) -> None:
    process, guard_pid = frozen_by_another(uuid, hard_stop=3)
    end(process)
    wait_until(lambda: not agent.frozen(), "the guest stays frozen", limit=5)
    agent.freeze(timeout_s=5)
    wait_until(lambda: not agent.frozen(), "the late freeze stays", limit=5)
    wait_until(lambda: is_gone(guard_pid), "the guard does not end", limit=20)


def test_a_released_guard_did_nothing(agent: GuestAgent, uuid: UUID) -> None:
    with FreezeGuard.start(DEFAULT_URI, uuid, hard_stop_s=30) as guard:
        agent.freeze(timeout_s=5)
        assert agent.thaw() == 2
        assert guard.release()


def test_a_guard_that_acted_or_died_says_so(agent: GuestAgent, uuid: UUID) -> None:
    with FreezeGuard.start(DEFAULT_URI, uuid, hard_stop_s=0.5) as guard:
        agent.freeze(timeout_s=5)
        wait_until(lambda: not agent.frozen(), "the guest stays frozen", limit=10)
        assert not guard.release()
    with FreezeGuard.start(DEFAULT_URI, uuid, hard_stop_s=30) as guard:
        os.kill(guard._process.pid, signal.SIGKILL)
        assert not guard.release()


def test_leaving_the_block_by_an_error_thaws(agent: GuestAgent, uuid: UUID) -> None:
    with pytest.raises(ZeroDivisionError), FreezeGuard.start(DEFAULT_URI, uuid, hard_stop_s=1) as guard:
        agent.freeze(timeout_s=5)
        _ = 1 / 0
    wait_until(lambda: not agent.frozen(), "the guest stays frozen", limit=5)
    wait_until(lambda: is_gone(guard._process.pid), "the guard does not end", limit=20)


def test_without_a_guard_there_is_no_freeze() -> None:
    with pytest.raises(FreezeFailed, match="not frozen"):
        FreezeGuard.start(DEFAULT_URI, uuid4())
