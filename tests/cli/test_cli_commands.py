"""The command line against a served API: what each command does, prints and exits with."""

import json
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from overwinter.cli.main import app
from overwinter.model.job import Job, JobError, JobStatus
from tests.api.fake_service import GIB, START, FakeService, make_machine
from tests.api.served import Served

Run = Callable[..., Result]


@pytest.fixture
def run(served: Served) -> Run:
    """Runs the command with the served state directory; its jobs end at once."""
    served.service.auto_finish = True

    def invoke(*words: str) -> Result:
        return CliRunner().invoke(app, [*words, "--dir", str(served.directory)])

    return invoke


def json_of(result: Result, status: int = 0) -> Any:
    assert result.exit_code == status, result.output
    return json.loads(result.stdout)


def with_points(service: FakeService, vm: str = "Web01") -> None:
    service.auto_finish = True
    service.protect(service.vaults.get("v1"), service.machine(vm), "DefaultPolicy")
    service.add_point(service.items()[-1], START)
    service.add_point(service.items()[-1], START.replace(hour=5))


def test_vms(run: Run, served: Served) -> None:
    with_points(served.service)
    table = run("vm", "list").stdout.splitlines()
    assert re.split(r"\s{2,}", table[0].strip()) == ["NAME", "STATE", "DISKS", "SIZE", "GUEST AGENT", "VAULT"]
    assert re.split(r"\s{2,}", table[1].strip()) == ["Web01", "running", "2", "3 GiB", "yes", "v1"]
    rows = json_of(run("vm", "list", "--json"))
    assert [(row["name"], row["vault"]) for row in rows] == [("Web01", "v1"), ("db01", None)]
    assert rows[0]["disks"][0] == {
        "target": "vda",
        "lun": -1,
        "size": GIB,
        "format": "qcow2",
        "path": "/images/Web01-vda",
        "layers": 1,
    }
    shown = run("vm", "show", "web01")
    assert (
        shown.exit_code == 0 and "Debian GNU/Linux 12" in shown.stdout and "/images/Web01-vdb" in shown.stdout
    )
    assert "Ready: Guest Agent is running" in shown.stdout
    agent = json_of(run("vm", "show", "Web01", "--json"))["agent"]
    assert (agent["state"], agent["ready"], agent["version"]) == ("Ready", True, "7.2.0")
    assert agent["last_seen"] == "2026-01-01T12:00:00Z"


def test_vaults(run: Run) -> None:
    made = json_of(run("vault", "create", "main", "--json"))
    assert (made["name"], made["resource_group"], made["key_kind"]) == ("main", "default", "key-file")
    assert run("vault", "create", "main").exit_code == 0
    assert [row["name"] for row in json_of(run("vault", "list", "--json"))] == ["v1", "main"]
    assert "file:///vaults/main" in run("vault", "show", "MAIN").stdout
    assert run("vault", "delete", "main").exit_code == 0
    assert [row["name"] for row in json_of(run("vault", "list", "--json"))] == ["v1"]


def test_vault_that_is_not_empty(run: Run, served: Served) -> None:
    with_points(served.service)
    assert [row["vm"] for row in json_of(run("vault", "show", "v1", "--json"))["items"]] == ["Web01"]
    error = json_of(run("vault", "delete", "v1", "--json"), status=1)["error"]
    assert error["code"] == "VaultNotEmpty" and error["recommendations"]


def test_policies(run: Run, served: Served) -> None:
    words = ("--instant-days", "3", "--daily", "90", "--require-consistency", "file-system")
    made = json_of(run("policy", "create", "strict", "--vault", "v1", *words, "--json"))
    assert made.pop("next_run").endswith("T02:30:00Z")
    assert made == {
        "name": "strict",
        "vault": "v1",
        "type": "V1",
        "schedule": "daily at 02:30",
        "time_zone": "UTC",
        "instant_retention_days": 3,
        "retention": [{"rule": "Daily", "count": 90, "unit": "days", "days": "every day"}],
        "crash_consistent_only": False,
        "required_consistency": "FileSystemConsistent",
        "without_agent": "TakeCrashConsistent",
        "retries": 3,
        "bandwidth_limit": None,
        "backup_window": None,
        "automatic_repair": False,
        "protected_items": 0,
    }
    shown = json_of(run("policy", "show", "STRICT", "--vault", "v1", "--json"))
    assert {**made, "next_run": shown["next_run"]} == shown
    assert "strict" in run("policy", "list", "--vault", "v1").stdout
    assert run("policy", "create", "x;y", "--vault", "v1").exit_code == 1


def test_protect_backup_points(run: Run, served: Served) -> None:
    done = run("protect", "Web01", "--vault", "v1")
    assert done.exit_code == 0 and "ConfigureBackup of Web01: Completed" in done.stdout
    served.service.auto_finish = False
    started = json_of(run("backup", "web01", "--json"))
    assert (started["operation"], started["status"], started["ended"]) == ("Backup", "InProgress", None)
    assert started["tasks"][1] == {
        "name": "Transfer data to vault",
        "status": "NotStarted",
        "started": None,
        "ended": None,
        "done": 0,
        "total": 3 * GIB,
    }
    served.service.finish(served.service.jobs()[-1])
    (point,) = json_of(run("points", "Web01", "--json"))
    assert point["consistency"] == "FileSystemConsistent"
    assert (point["tier"], point["bytes_stored"], point["vm"]) == ("snapshot and vault", GIB, "Web01")
    assert point["id"] in run("points", "Web01").stdout


def test_second_backup_is_refused(run: Run, served: Served) -> None:
    with_points(served.service)
    served.service.auto_finish = False
    assert run("backup", "Web01").exit_code == 0
    refused = run("backup", "Web01")
    assert refused.exit_code == 1 and refused.stdout == ""
    assert "UserErrorBackupOperationInProgress" in refused.stderr and "overwinter job" in refused.stderr


def test_backup_waits_and_fails_with_its_job(run: Run, served: Served) -> None:
    with_points(served.service)
    served.service.auto_finish = False
    problem = JobError("UserErrorGuestAgentStatusUnavailable", "No answer within 10 s.")
    worker = when_started(served.service, lambda job: served.service.finish(job, JobStatus.FAILED, problem))
    failed = run("backup", "Web01", "--wait")
    worker.join()
    assert failed.exit_code == 1
    assert "Backup of Web01: Failed in 1 min 32 s" in failed.stdout
    assert "No answer within 10 s." in failed.stdout and "qemu-guest-agent" in failed.stdout


def test_plain_progress_says_only_what_changed(run: Run, served: Served) -> None:
    with_points(served.service)
    served.service.auto_finish = False
    worker = when_started(served.service, lambda job: walk(served.service, job))
    waited = run("backup", "Web01", "--wait")
    worker.join()
    assert waited.exit_code == 0
    lines = waited.stderr.splitlines()
    assert lines[0] == "Take Snapshot: InProgress"
    assert any(
        line.startswith("Transfer data to vault: InProgress, 1.5 GiB of 3 GiB (50 %)") for line in lines
    )
    assert len(lines) == len(set(lines))


def test_completed_with_warnings_is_done(run: Run, served: Served) -> None:
    with_points(served.service)
    job = served.service.backup(served.service.items()[0], expires=None)
    warning = JobError("UserErrorGuestAgentStatusUnavailable", "Crash-consistent only.")
    served.service.finish(job, JobStatus.COMPLETED_WITH_WARNINGS, warning)
    waited = run("job", "wait", str(job.id))
    assert waited.exit_code == 0 and "Crash-consistent only." in waited.stdout


def test_restore(run: Run, served: Served, tmp_path: Path) -> None:
    with_points(served.service)
    first, last = sorted(row["id"] for row in json_of(run("points", "Web01", "--json")))
    made = run("restore", "Web01", "--point", "latest", "--as", "copy1", "--into", str(tmp_path))
    assert made.exit_code == 0, made.output
    assert served.service.jobs()[-1].parameters == {
        "vm_name": "copy1",
        "directory": str(tmp_path),
        "start": False,
    }
    made = run("restore", "Web01", "--point", first, "--disks", str(tmp_path / "disks"), "--json")
    job = json_of(made)
    assert job["parameters"] == {"directory": str(tmp_path / "disks")}
    again = run("restore", "Web01", "--point", last, "--as", "copy1")
    assert again.exit_code == 1 and "ResourceAlreadyExists" in again.stderr
    assert run("restore", "Web01", "--point", "12345", "--as", "copy2").exit_code == 1


def test_latest_without_points(run: Run, served: Served) -> None:
    served.service.protect(served.service.vaults.get("v1"), served.service.machine("db01"), "DefaultPolicy")
    error = json_of(run("restore", "db01", "--point", "latest", "--as", "x", "--json"), status=1)["error"]
    assert error["code"] == "ResourceNotFound" and "no recovery point yet" in error["message"]


@pytest.mark.parametrize("flag", ["--keep-data", "--delete-data"])
def test_unprotect(run: Run, served: Served, flag: str) -> None:
    with_points(served.service)
    ended = run("unprotect", "Web01", flag)
    assert ended.exit_code == 0, ended.output
    (left,) = served.service.items()
    assert (left.state.value, left.is_deleted) == ("ProtectionStopped", flag == "--delete-data")
    if flag == "--keep-data":
        assert "UserErrorBcmDatasourceNotPresent" in run("backup", "Web01").stderr


def test_jobs(run: Run, served: Served) -> None:
    with_points(served.service)
    served.service.auto_finish = False
    job = served.service.backup(served.service.items()[0], expires=None)
    listed = json_of(run("job", "list", "--json"))
    assert [row["operation"] for row in listed] == ["Backup", "ConfigureBackup"]
    assert str(job.id) in run("job", "list").stdout
    shown = run("job", "show", str(job.id).upper())
    assert shown.exit_code == 0 and "Take Snapshot" in shown.stdout and "0 B of 3 GiB" in shown.stdout
    assert "Cancelled" in run("job", "cancel", str(job.id)).stdout
    assert run("job", "wait", str(job.id)).exit_code == 1
    assert (
        json_of(run("job", "cancel", str(job.id), "--json"), 1)["error"]["code"]
        == "UserErrorJobNotCancellable"
    )


@pytest.mark.parametrize(
    "words",
    [
        ("vm", "show", "nobody"),
        ("vm", "show", "a/b"),
        ("vm", "show", ".."),
        ("vault", "show", "none"),
        ("protect", "nobody", "--vault", "v1"),
        ("protect", "Web01", "--vault", "none"),
        ("protect", "Web01", "--vault", "v1", "--policy", "none"),
        ("backup", "nobody"),
        ("job", "show", "no-id"),
        ("job", "show", "../../x"),
        ("job", "show", "00000000-0000-0000-0000-000000000000"),
    ],
)
def test_unknown_names_change_nothing(run: Run, served: Served, words: tuple[str, ...]) -> None:
    error = json_of(run(*words, "--json"), status=1)["error"]
    assert error["code"] == "ResourceNotFound" and error["recommendations"]
    assert served.service.jobs() == [] and served.service.items() == []


@pytest.mark.parametrize(
    "words", [("backup", "Web01"), ("points", "Web01"), ("unprotect", "Web01", "--keep-data")]
)
def test_a_vm_that_is_not_protected(run: Run, served: Served, words: tuple[str, ...]) -> None:
    error = json_of(run(*words, "--json"), status=1)["error"]
    assert error["code"] == "UserErrorBcmDatasourceNotPresent" and error["recommendations"]
    assert served.service.jobs() == [] and served.service.items() == []


@pytest.mark.parametrize(
    "words",
    [
        ("restore", "Web01", "--point", "latest"),
        ("restore", "Web01", "--point", "latest", "--as", "x", "--disks", "/x"),
        ("restore", "Web01", "--point", "latest", "--disks", "/x", "--into", "/y"),
        ("restore", "Web01", "--as", "x"),
        ("unprotect", "Web01"),
        ("unprotect", "Web01", "--keep-data", "--delete-data"),
        ("protect", "Web01"),
        ("backup",),
        ("nonsense",),
        ("serve", "--listen", "nowhere"),
        ("serve", "--listen", "127.0.0.1:99999"),
    ],
)
def test_wrong_use(run: Run, served: Served, words: tuple[str, ...]) -> None:
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert result.stderr and served.service.jobs() == []


def test_vm_in_two_vaults(run: Run, served: Served) -> None:
    service = served.service
    service.vaults.create("v2", "default")
    for vault in ("v1", "v2"):
        service.protect(service.vaults.get(vault), service.machine("Web01"), "DefaultPolicy")
    asked = run("backup", "Web01")
    assert asked.exit_code == 2 and "v1, v2" in asked.stderr and "--vault" in asked.stderr
    assert run("backup", "Web01", "--vault", "v2").exit_code == 0
    assert service.jobs()[-1].vault_id == service.vaults.get("v2").id


def test_names_beyond_ascii(run: Run, served: Served) -> None:
    name = "web é;%41 #1"
    service = served.service
    service._machines.append(make_machine(name))
    assert run("protect", name, "--vault", "v1").exit_code == 0
    assert run("backup", name, "--wait").exit_code == 0
    assert json_of(run("points", name, "--json"))[0]["vm"] == name
    assert json_of(run("vm", "show", name, "--json"))["vault"] == "v1"


def test_a_guest_cannot_speak_to_the_terminal(run: Run, served: Served) -> None:
    with_points(served.service)
    job = served.service.backup(served.service.items()[0], expires=None)
    served.service.finish(job, JobStatus.FAILED, JobError("GuestCommandFailed", "\x1b]0;owned\x07 [bold]"))
    shown = run("job", "show", str(job.id)).stdout
    assert "\x1b" not in shown and "\x07" not in shown and "[bold]" in shown


def test_names_that_are_no_text(run: Run, served: Served) -> None:
    with_points(served.service)
    for words in (("vm", "show", "\udcff"), ("restore", "Web01", "--point", "latest", "--disks", "/x\udcff")):
        assert json_of(run(*words, "--json"), status=1)["error"]["code"] == "BadRequest"


def test_names_are_not_turned_into_pictures(run: Run, served: Served) -> None:
    served.service._machines.append(make_machine(":cat: [red]"))
    assert ":cat: [red]" in run("vm", "list").stdout
    assert json_of(run("vm", "show", ":cat: [red]", "--json"))["name"] == ":cat: [red]"


def test_every_command_has_an_example(run: Run) -> None:
    commands = [("serve",), ("protect",), ("backup",), ("points",), ("restore",), ("unprotect",)]
    commands += [("vm", verb) for verb in ("list", "show")]
    commands += [("vault", verb) for verb in ("create", "list", "show", "delete")]
    commands += [("policy", verb) for verb in ("list", "show", "create", "modify", "delete", "preview")]
    commands += [("job", verb) for verb in ("list", "show", "wait", "cancel")]
    for words in commands:
        shown = CliRunner().invoke(app, [*words, "--help"])
        assert shown.exit_code == 0
        assert f"Example: overwinter {' '.join(words)}" in shown.stdout
        assert "--json" in shown.stdout


def when_started(service: FakeService, work: Callable[[Job], None]) -> threading.Thread:
    """Do the work on the next backup, as soon as it runs."""
    known = {job.id for job in service.jobs()}

    def wait() -> None:
        while True:
            new = [job for job in service.jobs() if job.id not in known]
            if new:
                work(new[0])
                return
            time.sleep(0.01)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def walk(service: FakeService, job: Job) -> None:
    """Half of the data, then the end, each once somebody has looked at the state before it."""
    service.wait_until_seen(job)
    service.advance(job, 3 * GIB // 2)
    service.wait_until_seen(job)
    service.finish(service.job(job.id))
