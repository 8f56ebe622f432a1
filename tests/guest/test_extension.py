"""The extension in a real guest: how it gets there, what it freezes, who thaws when all goes wrong."""

import json
import time
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest

from overwinter.guest import freeze_session
from overwinter.guest.agent import GuestAgent
from overwinter.guest.extension import FOLDER, PACKAGE, GuestExtension
from overwinter.guest.extension_package import extension_package
from overwinter.guest.freeze_answers import Answer, Event
from overwinter.guest.freeze_session import FreezeSession, begin_session
from overwinter.guest.thaw import ensure_thawed
from overwinter.hypervisor.connection import Hypervisor
from overwinter.model.errors import ExtensionFailed, ExtensionUnavailable, FreezeFailed
from overwinter.model.freeze import NotFrozen
from overwinter.model.guest_extension import ProvisioningState
from testkit.disks import MIB, DiskSpec
from testkit.domains import GuestMaker, TinyGuest
from testkit.waiting import wait_until

pytestmark = pytest.mark.libvirt


class PythonGuest:
    """A guest with Python, its agent, and whether it can write."""

    def __init__(self, guest: TinyGuest, hypervisor: Hypervisor) -> None:
        self.guest = guest
        self.uuid = UUID(guest.domain.UUIDString())
        self.agent = GuestAgent(hypervisor, self.uuid)
        self.extension = GuestExtension(self.agent)
        self.sh = guest.agent.check

    def begin_ready(self) -> FreezeSession:
        session = begin_session(self.agent)
        session.wait_ready()
        return session

    def write(self) -> str:
        """Begin to write on both disks; gives the file in memory that says it is done."""
        done = f"/run/{uuid4().hex}"
        self.sh(f"(for d in /mnt/vd?; do date >$d/probe; done; touch {done}) >/dev/null 2>&1 </dev/null &")
        return done

    def has(self, path: str) -> bool:
        return self.guest.agent.run(f"[ -e {path} ]").exit_code == 0

    def assert_writes_wait(self) -> str:
        done = self.write()
        self.sh("sleep 0.3")
        assert not self.has(done), "a frozen guest wrote"
        return done

    def wait_written(self, done: str, limit: float = 20.0) -> None:
        wait_until(lambda: self.has(done), "the guest stays frozen", limit)

    def processes(self) -> list[int]:
        """Of the session: the keeper, then the one that freezes."""
        lines = self.sh(f"ps -o pid,args | grep '[p]ython3 -IS {PACKAGE}' || true").splitlines()
        return sorted(int(line.split()[0]) for line in lines)


@pytest.fixture(scope="module")
def inside(guests: GuestMaker, hypervisor: Hypervisor) -> Iterator[PythonGuest]:
    disks = [DiskSpec("qcow2", size=32 * MIB), DiskSpec("raw", size=32 * MIB)]
    guest = guests.with_python().make(f"python-{uuid4().hex[:6]}", disks)
    yield PythonGuest(guest, hypervisor)
    guests.remove(guest)


def thawed(session: FreezeSession) -> Answer:
    said = session.wait_for(Event.THAWED, limit_s=20.0)
    assert said is not None, "no word of a thaw"
    return said


def test_a_guest_without_python_cannot_have_it(agent: GuestAgent) -> None:
    with pytest.raises(ExtensionUnavailable, match="Python"):
        begin_session(agent)
    assert GuestExtension(agent).status().state is ProvisioningState.NOT_INSTALLED


def test_the_first_session_installs_it(inside: PythonGuest) -> None:
    assert inside.extension.status().state is ProvisioningState.NOT_INSTALLED
    session = inside.begin_ready()
    status = inside.extension.status()
    assert (status.state, status.version) == (ProvisioningState.SUCCEEDED, extension_package().version)
    session.give_up()
    assert session.wait_ended() is not None
    session.close()


def test_freeze_and_thaw_by_order(inside: PythonGuest) -> None:
    session = inside.begin_ready()
    session.freeze(limit_s=5)
    done = inside.assert_writes_wait()
    said = session.thaw(limit_s=5)
    inside.wait_written(done)
    assert said is not None and (said.event, said.by, said.held) == (Event.THAWED, "command", True)
    assert [(mount.point, mount.why_not) for mount in said.mounts] == [("/mnt/vdb", None), ("/mnt/vda", None)]
    ended = session.wait_ended()
    assert ended is not None and not ended.scripts.configured
    session.close()


def test_what_is_not_frozen_is_told_with_its_reason(inside: PythonGuest) -> None:
    inside.sh(
        "insmod /lib/modules/loop.ko; insmod /lib/modules/overlay.ko; cd /mnt/vda; mkdir -p low up work"
        "; mkdir -p /mnt/loop /mnt/stack /mnt/bound /mnt/vda/hidden /etc/azure"
        "; dd if=/dev/zero of=image bs=1M count=2 2>/dev/null"
        "; losetup /dev/loop0 image; mke2fs /dev/loop0 >/dev/null"
        "; mount -t ext4 /dev/loop0 /mnt/loop; mount --bind /mnt/vda/low /mnt/bound"
        "; mount -t overlay overlay -o lowerdir=low,upperdir=up,workdir=work /mnt/stack"
        "; printf '[SnapshotThread]\\nMountsToSkip=/mnt/vdb\\n' >/etc/azure/vmbackup.conf"
    )
    session = inside.begin_ready()
    session.freeze(limit_s=5)
    said = session.thaw(limit_s=5)
    session.wait_ended()
    session.close()
    inside.sh(
        "umount /mnt/loop /mnt/bound /mnt/stack; losetup -d /dev/loop0"
        "; rm -f /etc/azure/vmbackup.conf /mnt/vda/image"
    )
    assert said is not None and said.held
    assert {mount.point: mount.why_not for mount in said.mounts} == {
        "/mnt/vda": None,
        "/mnt/vdb": NotFrozen.EXCLUDED,
        "/mnt/loop": NotFrozen.LOOP,
        "/mnt/stack": NotFrozen.STACKED,
    }


@pytest.mark.parametrize(
    ("how", "who", "by"),
    [
        ("kill -9", 0, "lost process"),
        ("kill -9", 1, "lost process"),
        ("kill -TERM", 0, "signal"),
    ],
)
def test_a_lost_process_thaws_at_once(inside: PythonGuest, how: str, who: int, by: str) -> None:
    session = inside.begin_ready()
    session.freeze(limit_s=5)
    done = inside.assert_writes_wait()
    inside.sh(f"{how} {inside.processes()[who]}")
    inside.wait_written(done, limit=5)
    assert thawed(session).by == by
    assert session.wait_ended() is not None
    session.close()
    wait_until(lambda: not inside.processes(), "the session does not end")


def test_the_hard_stop_thaws_whoever_is_stopped(inside: PythonGuest) -> None:
    for who in (0, 1):
        name = str(uuid4())
        assert inside.extension.run("session", name, "5").exit_code == 0
        session = FreezeSession(inside.agent, name)
        session.wait_ready()
        session.freeze(limit_s=5)
        done = inside.assert_writes_wait()
        stopped = inside.processes()[who]
        inside.sh(f"kill -STOP {stopped}")
        inside.wait_written(done)
        inside.sh(f"kill -CONT {stopped}")
        said = thawed(session)
        assert said.by == "deadline" and said.held == (who == 1), "the keeper thaws if it can"
        session.wait_ended()
        session.close()


def test_storage_that_hangs_is_not_waited_for(inside: PythonGuest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freeze_session, "WRITE_OUT_LIMIT_S", 2.0)
    domain = inside.guest.domain
    domain.setBlockIoTune("vda", {"write_bytes_sec": 1})
    try:
        inside.sh("dd if=/dev/urandom of=/mnt/vda/unsaved bs=1M count=2 2>/dev/null")
        hanging = begin_session(inside.agent)
        with pytest.raises(FreezeFailed, match="hangs"):
            hanging.wait_ready()
        hanging.give_up()
    finally:
        domain.setBlockIoTune("vda", {"write_bytes_sec": 0})
    assert hanging.wait_ended() is not None
    hanging.close()


def test_when_the_whole_extension_is_killed_the_agent_thaws(
    inside: PythonGuest, hypervisor: Hypervisor
) -> None:
    session = inside.begin_ready()
    session.freeze(limit_s=5)
    done = inside.assert_writes_wait()
    both = " ".join(map(str, inside.processes()))
    inside.sh(f"kill -STOP {both}; kill -9 {both}")  # or the second thaws when the first dies
    inside.sh("sleep 0.3")
    assert not inside.has(done)
    began = time.monotonic()
    assert session.wait_ended() is None
    assert time.monotonic() - began < 30, "nobody waits for a session that is dead"
    ensure_thawed(hypervisor, inside.uuid, timeout_s=10)
    inside.wait_written(done)
    session.close()


def test_an_agent_that_is_restarted_finds_the_session_again(inside: PythonGuest) -> None:
    session = inside.begin_ready()
    session.freeze(limit_s=5)
    inside.guest.kill_agent()
    said = session.thaw(limit_s=15)
    # The order may come too late on a slow machine; the session was found again in either case.
    assert said is not None and said.by in ("command", "deadline")
    session.wait_ended()
    session.close()


def test_a_file_system_that_another_program_froze_is_no_success(inside: PythonGuest) -> None:
    session = inside.begin_ready()
    inside.sh("fsfreeze --freeze /mnt/vda")
    try:
        with pytest.raises(FreezeFailed, match="/mnt/vda"):
            session.freeze(limit_s=5)
        ended = session.wait_ended()
    finally:
        inside.sh("fsfreeze --unfreeze /mnt/vda")
    assert ended is not None
    session.close()
    inside.wait_written(inside.write())


def test_somebody_who_thaws_in_between_is_noticed(inside: PythonGuest) -> None:
    session = inside.begin_ready()
    session.freeze(limit_s=5)
    inside.sh("fsfreeze --unfreeze /mnt/vda")
    said = session.thaw(limit_s=5)
    assert said is not None and not said.held
    session.wait_ended()
    session.close()


def test_a_new_session_ends_an_old_one(inside: PythonGuest) -> None:
    old = inside.begin_ready()
    new = inside.begin_ready()
    assert len(inside.processes()) == 2
    new.give_up()
    assert new.wait_ended() is not None
    old.close()
    new.close()


@pytest.mark.parametrize(
    "harm",
    [
        f"rm -rf {FOLDER}",
        f"dd if=/dev/urandom of={PACKAGE} bs=64 count=1 seek=20 conv=notrunc 2>/dev/null",
    ],
)
def test_what_was_removed_or_damaged_is_repaired(inside: PythonGuest, harm: str) -> None:
    inside.sh(harm)
    session = inside.begin_ready()
    session.give_up()
    assert session.wait_ended() is not None
    session.close()
    assert inside.extension.status().state is ProvisioningState.SUCCEEDED


def test_another_version_is_replaced(inside: PythonGuest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that this host did not make: one more byte behind the archive."""
    content = inside.agent.read_file(PACKAGE, 1 << 20)
    inside.agent.write_file(PACKAGE, content + b"x")
    session = inside.begin_ready()
    session.give_up()
    session.wait_ended()
    session.close()
    assert inside.agent.read_file(PACKAGE, 1 << 20) == extension_package().content


def test_a_guest_whose_run_directory_is_on_a_disk_is_refused(inside: PythonGuest) -> None:
    inside.sh("rm -rf /run/overwinter; mkdir -p /mnt/vda/run; ln -s /mnt/vda/run /run/overwinter")
    try:
        with pytest.raises(ExtensionFailed, match="not in memory"):
            begin_session(inside.agent)
    finally:
        inside.sh("rm /run/overwinter")


def test_an_agent_unpacks_it_and_calls_it_as_a_handler(inside: PythonGuest) -> None:
    """What Azure's agent does: folder, environment, settings, commands; status files are read afterwards."""
    folder = "/run/handler"
    inside.sh(f"mkdir -p {folder}/config {folder}/status; cd {folder}; unzip -q {PACKAGE}")
    environment = {"configFolder": f"{folder}/config", "statusFolder": f"{folder}/status"}
    inside.agent.write_file(
        f"{folder}/HandlerEnvironment.json", json.dumps([{"handlerEnvironment": environment}]).encode()
    )
    inside.agent.write_file(f"{folder}/config/3.settings", b"{}")
    (manifest,) = json.loads(inside.agent.read_file(f"{folder}/HandlerManifest.json", 1 << 16))
    seen = {}
    for operation in ("install", "enable", "disable"):
        inside.sh(f"cd {folder} && {manifest['handlerManifest'][f'{operation}Command']}")
        (status,) = json.loads(inside.agent.read_file(f"{folder}/status/3.status", 1 << 17))
        seen[operation] = status["status"]["status"]
        assert status["status"]["formattedMessage"]["lang"] == "en-US"
    assert seen == {"install": "transitioning", "enable": "success", "disable": "success"}
    inside.sh(f"cd {folder} && {manifest['handlerManifest']['uninstallCommand']}; rm -rf {folder}")
    assert not inside.has("/run/overwinter")


def test_it_can_be_taken_away(inside: PythonGuest) -> None:
    inside.extension.remove()
    assert inside.extension.status().state is ProvisioningState.NOT_INSTALLED
    assert not inside.has(FOLDER)
    inside.extension.remove()
