"""The commands of protection's life: what they ask of the service, print and exit with."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from overwinter.cli.main import app
from overwinter.model.disk_selection import DiskSelection
from overwinter.model.protection import ProtectedItem, ProtectionState
from overwinter.model.vault_rules import Immutability, SoftDelete, VaultRules
from tests.api.fake_service import START
from tests.api.served import Served

Run = Callable[..., Result]


@pytest.fixture
def run(served: Served) -> Run:
    """Runs the command with the served state directory; its jobs end at once."""
    served.service.auto_finish = True

    def invoke(*words: str, answer: str | None = None) -> Result:
        return CliRunner().invoke(app, [*words, "--dir", str(served.directory)], input=answer)

    return invoke


def json_of(result: Result, status: int = 0) -> Any:
    assert result.exit_code == status, result.output
    return json.loads(result.stdout)


def the_item(served: Served) -> ProtectedItem:
    (found,) = served.service.items()
    return found


def with_points(served: Served, count: int = 2) -> list[str]:
    """Ids of the points of Web01, oldest first."""
    service = served.service
    service.protect(service.vaults.get("v1"), service.machine("Web01"), "DefaultPolicy")
    item = the_item(served)
    return [service.add_point(item, START + timedelta(hours=hour)).id for hour in range(count)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--exclude-disks", "vdb"), DiskSelection((0,))),
        (("--include-disks", "0"), DiskSelection((0,), included=True)),
        (("--include-disks", ""), DiskSelection((), included=True)),
        ((), DiskSelection()),
    ],
)
def test_protect_some_disks(run: Run, served: Served, options: tuple[str, ...], expected: object) -> None:
    assert run("protect", "Web01", "--vault", "v1", *options).exit_code == 0
    assert the_item(served).disks == expected


def test_modify(run: Run, served: Served) -> None:
    with_points(served)
    assert run("modify", "Web01").exit_code == 2
    assert run("modify", "Web01", "--exclude-disks", "0", "--include-disks", "0").exit_code == 2
    wrong = json_of(run("modify", "Web01", "--exclude-disks", "vdz", "--json"), status=1)
    assert wrong["error"]["code"] == "DiskSelectionInvalid" and "vdb" in wrong["error"]["message"]
    assert run("modify", "Web01", "--policy", "EnhancedPolicy").exit_code == 0
    shown = json_of(run("vault", "show", "v1", "--json"))["items"][0]
    assert (shown["policy"], shown["disks"], shown["only_these_disks"]) == ("EnhancedPolicy", [], False)
    assert run("modify", "Web01", "--exclude-disks", "vdb").exit_code == 0
    shown = json_of(run("vault", "show", "v1", "--json"))["items"][0]
    assert (shown["policy"], shown["disks"]) == ("EnhancedPolicy", [0]), "the policy stays"


def test_suspend_and_resume(run: Run, served: Served) -> None:
    with_points(served)
    assert run("unprotect", "Web01", "--keep-as-policy", "--keep-data").exit_code == 2
    assert run("unprotect", "Web01", "--keep-as-policy").exit_code == 0
    assert the_item(served).state is ProtectionState.SUSPENDED
    assert run("resume", "Web01").exit_code == 0
    assert the_item(served).is_active


def test_delete_and_undelete(run: Run, served: Served) -> None:
    ids = with_points(served)
    assert run("unprotect", "Web01", "--keep-data", "--dry-run").exit_code == 2
    told = run("unprotect", "Web01", "--delete-data", "--dry-run")
    assert "2 recovery point(s) of Web01 would be deleted; they could be had back until" in told.stdout
    assert [row["id"] for row in json_of(run("unprotect", "Web01", "--delete-data", "--dry-run", "--json"))]
    assert the_item(served).is_active, "nothing was done"
    assert run("unprotect", "Web01", "--delete-data").exit_code == 0
    shown = run("vault", "show", "v1").stdout
    assert "Deleted" in shown
    listed = json_of(run("points", "Web01", "--json"))
    assert [row["id"] for row in listed] == ids[::-1] and all(row["deleted_until"] for row in listed)
    latest = run("restore", "Web01", "--point", "latest", "--as", "x")
    assert latest.exit_code == 1 and "no recovery point" in latest.stderr
    assert run("undelete", "Web01").exit_code == 0
    assert not the_item(served).is_deleted
    again = json_of(run("undelete", "Web01", "--json"), status=1)
    assert again["error"]["code"] == "BadRequest"


def test_point_delete_asks(run: Run, served: Served) -> None:
    old, new = with_points(served)
    assert run("point", "delete", "Web01", old, answer="n\n").exit_code == 1
    assert run("point", "delete", "Web01", old, "--json").exit_code == 2
    dry = run("point", "delete", "Web01", old, "--dry-run")
    assert "can be had back for 14 days" in dry.stdout
    newest = json_of(run("point", "delete", "Web01", new, "--yes", "--json"), status=1)
    assert newest["error"]["code"] == "NewestPointStays" and newest["error"]["recommendations"]
    assert run("point", "delete", "Web01", "99", "--yes").exit_code == 1
    assert [row["deleted_until"] for row in json_of(run("point", "list", "Web01", "--json"))] == [None, None]
    assert run("point", "delete", "Web01", old, answer="y\n").exit_code == 0
    rows = run("point", "list", "Web01").stdout.splitlines()
    assert "DELETED UNTIL" in rows[0]
    assert rows[1].rstrip().endswith("-") and re.search(r"2026-01-\d\d [\d:]+$", rows[2].rstrip())
    assert run("point", "undelete", "Web01", old).exit_code == 0
    assert [row["deleted_until"] for row in json_of(run("points", "Web01", "--json"))] == [None, None]


def test_rules_of_a_vault(run: Run, served: Served) -> None:
    assert run("vault", "update", "v1").exit_code == 2
    assert run("vault", "update", "v1", "--soft-delete-days", "13").exit_code == 2
    shown = json_of(
        run("vault", "update", "v1", "--soft-delete-days", "30", "--immutability", "unlocked", "--json")
    )
    assert (shown["soft_delete"], shown["soft_delete_days"], shown["immutability"]) == (
        "Enabled",
        30,
        "Unlocked",
    )
    assert run("vault", "update", "v1", "--soft-delete", "always-on", answer="n\n").exit_code == 1
    assert served.service.vaults.get("v1").rules.soft_delete is SoftDelete.ENABLED
    assert run("vault", "update", "v1", "--soft-delete", "always-on", "--yes").exit_code == 0
    assert run("vault", "update", "v1", "--immutability", "locked", answer="y\n").exit_code == 0
    expected = VaultRules(SoftDelete.ALWAYS_ON, 30, Immutability.LOCKED)
    assert served.service.vaults.get("v1").rules == expected
    refused = json_of(run("vault", "update", "v1", "--soft-delete", "disabled", "--json"), status=1)
    assert refused["error"]["code"] == "VaultSettingIrreversible"
    assert "AlwaysON, 30 days" in run("vault", "show", "v1").stdout
