"""Backups of a guest with the extension: labels are earned, scripts count, points tell what stood still."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from uuid import UUID, uuid4

import pytest

from overwinter.guest import freeze_session
from overwinter.guest.agent import GuestAgent
from overwinter.guest.extension import PACKAGE
from overwinter.guest.freeze_session import FreezeSession, begin_session
from overwinter.guest.thaw import ensure_thawed
from overwinter.jobs import freeze_by_agent, window
from overwinter.jobs.freezing import WindowResult, none_frozen
from overwinter.model.default_policies import standard_content
from overwinter.model.errors import (
    ApplicationNotAtRest,
    JobCancelled,
    PostScriptFailed,
    PreScriptNotFound,
    ScriptFailed,
)
from overwinter.model.freeze import FreezeMethod
from overwinter.model.job import Job, JobStatus
from overwinter.model.point import Consistency
from testkit.disks import MIB, DiskSpec
from testkit.domains import TinyGuest
from testkit.station import Station
from testkit.waiting import wait_until

pytestmark = pytest.mark.libvirt


class Scene:
    """A guest with Python, and windows without a service."""

    def __init__(self, station: Station, guest: TinyGuest) -> None:
        self.station = station
        self.guest = guest
        self.hypervisor = station.service._runtime.hypervisor
        self.uuid = UUID(guest.domain.UUIDString())
        self.sh = guest.agent.check

    def window(self, snapshot: Callable[[], object] = lambda: None) -> WindowResult:
        return window.run(self.hypervisor, self.uuid, lambda: void(snapshot()))

    def kill(self, *which: int, signal: str = "KILL") -> None:
        """Kill the keeper (0), the process that froze (1), or both."""
        pids = self._processes()
        chosen = " ".join(str(pids[one]) for one in which)
        self.sh(f"kill -STOP {chosen}; kill -{signal} {chosen}; kill -CONT {chosen} || true")

    def has_session(self) -> bool:
        """Whether a session's processes live in the guest."""
        return bool(self._processes())

    def _processes(self) -> list[int]:
        lines = self.sh(f"ps -o pid,args | grep '[p]ython3 -IS {PACKAGE}' || true").splitlines()
        return sorted(int(line.split()[0]) for line in lines)

    def has(self, path: str) -> bool:
        """Whether a file exists in the guest."""
        return self.guest.agent.run(f"test -e {path}").exit_code == 0

    def write(self) -> None:
        """Works only in a guest that is not frozen."""
        self.sh("for d in /mnt/vd?; do date >$d/probe; done; sync", limit=30)

    def configure(self, pre: str | None, post: str, **keys: object) -> None:
        """Scripts for the guest; null: the file is missing."""
        self.sh("mkdir -p /etc/azure; rm -f /etc/azure/*.sh")
        for name, text in (("pre", pre), ("post", post)):
            if text is not None:
                self.guest.agent.write_file(f"/etc/azure/{name}.sh", f"#!/bin/sh\n{text}\n".encode())
        config = {
            "preScriptLocation": "/etc/azure/pre.sh",
            "postScriptLocation": "/etc/azure/post.sh",
            **keys,
        }
        path = "/etc/azure/VMSnapshotScriptPluginConfig.json"
        self.guest.agent.write_file(path, json.dumps(config).encode())
        self.sh(f"chmod 700 /etc/azure/*.sh; chmod 600 {path}; rm -f /run/log")


def void(_value: object) -> None:
    pass


@pytest.fixture(scope="module")
def scene(station: Station) -> Iterator[Scene]:
    disks = [DiskSpec("qcow2", size=32 * MIB), DiskSpec("raw", size=32 * MIB)]
    guest = station.ground.guests.with_python().make(f"ext-{uuid4().hex[:6]}", disks)
    yield Scene(station, guest)
    station.ground.guests.remove(guest)


@pytest.fixture(autouse=True)
def thawed_in_the_end(scene: Scene) -> Iterator[None]:
    yield
    ensure_thawed(scene.hypervisor, scene.uuid, timeout_s=20)
    scene.write()
    scene.sh("rm -rf /etc/azure")


def test_a_backup_installs_the_extension_and_its_point_tells_what_stood_still(scene: Scene) -> None:
    item = scene.station.protect(scene.guest)
    point = scene.station.backup(item)
    assert point.consistency is Consistency.FILE_SYSTEM
    assert point.freeze is not None and point.freeze.method is FreezeMethod.EXTENSION
    assert [mount.point for mount in point.freeze.frozen] == ["/mnt/vdb", "/mnt/vda"]
    assert point.freeze.version and point.freeze.guest_ms is not None


def test_an_extension_that_dies_in_the_window_leaves_a_thawed_guest_and_no_label(scene: Scene) -> None:
    result = scene.window(lambda: scene.kill(0, 1))
    assert result.consistency is Consistency.CRASH
    told = [(warning.code, warning.cause) for warning in result.warnings]
    assert told == [("UserErrorFsFreezeFailed", "C-AGENT-ERROR")]
    scene.write()


def test_a_freeze_that_is_refused_says_why_and_waits_for_the_post_script(scene: Scene) -> None:
    scene.configure("true", "echo post >>/run/log; exit 4")
    scene.sh("fsfreeze --freeze /mnt/vda")  # by another program
    result = scene.window()
    assert result.consistency is Consistency.CRASH
    assert [(warning.code, warning.cause) for warning in result.warnings] == [
        ("UserErrorFsFreezeFailed", "C-FS-FROZEN"),
        ("Post-ScriptExecutionFailed", None),
    ]
    assert scene.sh("cat /run/log").split() == ["post"]


def test_a_post_script_after_a_refused_freeze_does_not_hold_up_the_end_of_the_service(scene: Scene) -> None:
    scene.configure("true", "touch /run/slow; sleep 300", timeoutInSeconds=600)
    scene.sh("rm -f /run/slow; fsfreeze --freeze /mnt/vda")
    may_end = threading.Event()

    def end() -> None:
        with none_frozen():
            may_end.set()

    def check() -> None:
        if scene.has("/run/slow"):
            threading.Thread(target=end, daemon=True).start()
            assert may_end.wait(10), "the window still counts as open"
            raise JobCancelled("cancelled")

    result = window.run(scene.hypervisor, scene.uuid, lambda: None, check)
    assert [warning.cause for warning in result.warnings] == ["C-FS-FROZEN"]
    assert may_end.is_set()
    scene.sh("killall sleep")
    wait_until(lambda: not scene.has_session(), "the session goes on", 60)


def test_a_vm_that_goes_off_in_the_window_is_not_waited_for(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.configure("true", "true", timeoutInSeconds=1800)
    monkeypatch.setattr(freeze_session, "SILENCE_LIMIT_S", 2.0)
    result = scene.window(scene.guest.destroy)
    assert result.consistency is Consistency.CRASH
    assert [warning.cause for warning in result.warnings] == ["C-VM-OFF"]
    scene.guest.start()


def test_an_agent_that_fails_only_while_the_extension_begins_is_told_of(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin(agent: GuestAgent) -> FreezeSession:
        scene.guest.stop_agent()
        try:
            return begin_session(agent)
        finally:
            scene.guest.resume_agent()
            scene.guest.wait_ready()

    monkeypatch.setattr(window, "begin_session", begin)
    result = scene.window()
    assert result.consistency is Consistency.FILE_SYSTEM
    assert [warning.code for warning in result.warnings] == ["GuestExtensionFailed"]


def test_an_extension_that_cannot_start_says_so(scene: Scene) -> None:
    scene.sh("mkdir -p /run/overwinter; mount -t tmpfs -o nr_inodes=2 tmpfs /run/overwinter")
    result = scene.window()
    scene.sh("umount /run/overwinter")
    assert result.consistency is Consistency.FILE_SYSTEM, "the agent froze"
    told = [(warning.code, warning.cause) for warning in result.warnings]
    assert told == [("GuestExtensionFailed", "C-EXT-LOAD")]


def test_an_agent_that_dies_in_the_window_costs_nothing_when_the_extension_held(scene: Scene) -> None:
    result = scene.window(scene.guest.kill_agent)
    if result.consistency is Consistency.CRASH:
        # The agent came back after the hard stop, by the extension's clock or the guard's: a slow machine.
        assert re.search("deadline|before it was told to", result.warnings[0].message)
    else:
        assert result.consistency is Consistency.FILE_SYSTEM and not result.warnings


def test_a_snapshot_that_fails_leaves_a_thawed_guest(scene: Scene) -> None:
    with pytest.raises(ZeroDivisionError):
        scene.window(lambda: 1 // 0)
    scene.write()


def test_somebody_elses_thaw_is_noticed(scene: Scene) -> None:
    agent = GuestAgent(scene.hypervisor, scene.uuid)
    result = scene.window(agent.thaw)
    assert result.consistency is Consistency.CRASH


def test_scripts_that_succeed_earn_the_application_label_in_their_order(scene: Scene) -> None:
    scene.configure("echo pre >>/run/log; touch /mnt/vda/pre", "echo post >>/run/log; rm /mnt/vda/pre")
    result = scene.window(lambda: scene.sh("echo snapshot >>/run/log"))
    assert (result.consistency, result.warnings) == (Consistency.APPLICATION, ()), result
    assert scene.sh("cat /run/log").split() == ["pre", "snapshot", "post"]


def test_a_failing_pre_script_costs_the_label_or_the_backup(scene: Scene) -> None:
    scene.configure("exit 3", "echo post >>/run/log", continueBackupOnFailure=True)
    result = scene.window()
    assert result.consistency is Consistency.FILE_SYSTEM
    assert [warning.code for warning in result.warnings] == ["Pre-ScriptExecutionFailed"]
    assert scene.sh("cat /run/log").split() == ["post"]
    scene.configure("exit 3", "echo post >>/run/log", continueBackupOnFailure=False)
    with pytest.raises(ScriptFailed):
        scene.window(lambda: pytest.fail("no snapshot"))
    assert scene.sh("cat /run/log").split() == ["post"]


def test_a_failing_post_script_costs_the_application_label(scene: Scene) -> None:
    scene.configure("true", "exit 4")
    result = scene.window()
    assert result.consistency is Consistency.FILE_SYSTEM
    assert [warning.code for warning in result.warnings] == ["Post-ScriptExecutionFailed"]


def test_a_failing_post_script_fails_the_backup_of_a_guest_that_wants_none_without(scene: Scene) -> None:
    scene.configure("true", "exit 4", continueBackupOnFailure=False)
    item = scene.station.service.item(scene.station.vault, scene.guest.name)
    points = len(scene.station.service.recovery_points(item))
    job = scene.station.ended(scene.station.service.backup(item, expires=None))
    assert job.status is JobStatus.FAILED
    assert job.errors[0].code == PostScriptFailed.code
    assert "restore_point" in job.properties, "the snapshot was taken before"
    assert len(scene.station.service.recovery_points(item)) == points


def test_the_post_script_runs_whoever_is_killed(scene: Scene) -> None:
    scene.configure("true", "echo post >>/run/log")
    result = scene.window(lambda: scene.kill(0))
    assert result.consistency is Consistency.CRASH
    assert scene.sh("cat /run/log").split() == ["post"]


def test_a_missing_script_fails_a_job_that_must_not_go_on_without(scene: Scene) -> None:
    scene.configure(None, "true", continueBackupOnFailure=False)
    item = scene.station.service.item(scene.station.vault, scene.guest.name)
    job = scene.station.ended(scene.station.service.backup(item, expires=None))
    assert job.status is JobStatus.FAILED
    assert job.errors[0].code == PreScriptNotFound.code


@pytest.mark.long
def test_a_policy_may_require_applications_at_rest(scene: Scene) -> None:
    station = scene.station
    content = standard_content(required_consistency=Consistency.APPLICATION)
    item = station.protect(scene.guest, station.put_policy("Applications", content))

    def end_of_backup() -> Job:
        return station.ended(station.service.backup(item, expires=None))

    scene.configure("exit 3", "true")
    assert end_of_backup().errors[0].code == ScriptFailed.code
    scene.sh("rm /etc/azure/VMSnapshotScriptPluginConfig.json")
    assert end_of_backup().errors[0].code == ApplicationNotAtRest.code
    scene.configure("true", "true")
    assert station.backup(item).consistency is Consistency.APPLICATION
    station.protect(scene.guest)


def test_without_the_extension_the_agent_freezes_and_the_record_says_why(scene: Scene) -> None:
    result = freeze_by_agent.run(scene.hypervisor, scene.uuid, lambda: None, reason="because")
    assert result.freeze is not None
    assert (result.freeze.method, result.freeze.reason) == (FreezeMethod.AGENT, "because")


def test_a_cancelled_job_cuts_the_pre_script_short_and_lets_the_applications_go_on(scene: Scene) -> None:
    stubborn = "trap '' TERM; echo $$ >>/run/pids; while :; do sleep 1; done"
    scene.configure(f"({stubborn}) & {stubborn}", "touch /run/post", timeoutInSeconds=1800)
    scene.sh("rm -f /run/pids /run/post")
    service = scene.station.service
    job = service.backup(service.item(scene.station.vault, scene.guest.name), expires=None)
    wait_until(lambda: scene.has("/run/pids"), "the pre-script does not run", 60)
    service.cancel(job.id)
    ended = scene.station.ended(job)
    assert ended.status is JobStatus.CANCELLED and "restore_point" not in ended.properties
    wait_until(lambda: scene.has("/run/post"), "the post-script did not run", 60)
    scene.sh("for pid in $(cat /run/pids); do [ ! -e /proc/$pid ] || exit 1; done")
    wait_until(lambda: not scene.has_session(), "the session goes on", 60)


def test_a_session_that_ends_cuts_its_pre_script_short(scene: Scene) -> None:
    scene.configure("touch /run/pre; sleep 1000", "touch /run/post", timeoutInSeconds=1800)
    scene.sh("rm -f /run/pre /run/post")
    session = begin_session(GuestAgent(scene.hypervisor, scene.uuid))
    wait_until(lambda: scene.has("/run/pre"), "the pre-script does not run", 60)
    scene.kill(0, signal="TERM")
    with pytest.raises(ScriptFailed, match="cut short"):
        session.wait_ready()
    session.close()
    assert scene.has("/run/post")


def test_a_job_that_is_cancelled_after_its_snapshot_does_not_wait_for_the_post_script(scene: Scene) -> None:
    scene.configure("true", "touch /run/slow; sleep 300", timeoutInSeconds=600)
    scene.sh("rm -f /run/slow")

    def check() -> None:
        if scene.has("/run/slow"):
            raise JobCancelled("cancelled")

    taken: list[bool] = []
    result = window.run(scene.hypervisor, scene.uuid, lambda: taken.append(True), check)
    assert taken and result.consistency is Consistency.FILE_SYSTEM, "the snapshot is there, and stood still"
    scene.sh("killall sleep")  # a post-script is never cut short
    wait_until(lambda: not scene.has_session(), "the session goes on", 60)
