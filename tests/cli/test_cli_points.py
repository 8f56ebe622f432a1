"""``overwinter collection``, ``lock`` and ``profile`` against a served API."""

import json
from collections.abc import Callable

import pytest
from click.testing import Result
from typer.testing import CliRunner

from overwinter.cli.main import app
from overwinter.model.job import JobOperation
from overwinter.model.profile import PROFILES
from tests.api.served import Served

Run = Callable[..., Result]

NAME = "AzureBackupRG_Web01_1"


@pytest.fixture
def run(served: Served) -> Run:
    served.service.auto_finish = True
    return lambda *words, **more: CliRunner().invoke(app, [*words, "--dir", str(served.directory)], **more)


def test_collections_are_listed_and_shown(run: Run) -> None:
    listed = run("collection", "list").stdout
    assert NAME in listed and "Web01" in listed
    shown = run("collection", "show", "web01").stdout
    assert [line.split()[0] for line in shown.splitlines()[-3:]] == ["p0", "p1", "p2"]
    assert [line.split()[-2] for line in shown.splitlines()[-3:]] == ["yes", "yes", "no"]
    document = json.loads(run("collection", "show", NAME, "--json").stdout)
    assert (document["restore_points"], document["snapshot_only"]) == (3, 1)
    assert [point["snapshot_only"] for point in document["points"]] == [False, False, True]
    assert "There is no restore point collection" in run("collection", "show", "nobody").stderr


def test_a_dry_run_deletes_nothing(run: Run, served: Served) -> None:
    run("lock", "create", "keep", "--collection", "Web01")
    answer = run("collection", "delete", "Web01", "--dry-run").stdout
    assert "Would delete 3 restore point(s) of Web01" in answer
    assert "1 of them are in no vault" in answer
    assert "lock keep (CanNotDelete)" in answer
    document = json.loads(run("collection", "delete", NAME, "--dry-run", "--json", "--point", "p1").stdout)
    assert [point["name"] for point in document["would_delete"]] == ["p1"]
    assert served.service.points.deleted == []


def test_deletion_asks(run: Run, served: Served) -> None:
    refused = run("collection", "delete", "Web01", input="n\n")
    assert refused.exit_code == 1 and served.service.points.deleted == []
    assert run("collection", "delete", "Web01", input="y\n").exit_code == 0
    assert run("collection", "delete", "Web01", "--yes", "--point", "p0").exit_code == 0
    assert served.service.points.deleted == [(NAME, None), (NAME, "p0")]
    missing = run("collection", "delete", "Web01", "--yes", "--point", "p9")
    assert missing.exit_code == 1 and "p9" in missing.stderr


def test_a_lock_stops_the_deletion_and_says_how_to_go_on(run: Run, served: Served) -> None:
    made = run("lock", "create", "keep", "--group", "AzureBackupRG_local_1", "--notes", "audit")
    assert made.exit_code == 0 and "overwinter lock delete keep" in made.stderr
    refused = run("collection", "delete", "Web01", "--yes")
    assert refused.exit_code == 1
    assert "Error ScopeLocked" in refused.stderr and "/resourceGroups/AzureBackupRG_local_1" in refused.stderr
    assert "overwinter lock delete" in refused.stderr
    listed = run("lock", "list").stdout
    assert all(word in listed for word in ("keep", "CanNotDelete", "AzureBackupRG_local_1", "audit"))
    assert run("lock", "delete", "keep").exit_code == 0
    assert run("lock", "delete", "keep").exit_code == 1
    assert served.service.points.locks() == []


def test_locks_of_one_name_are_told_apart(run: Run, served: Served) -> None:
    for place in (["--group", "default"], ["--collection", "Web01", "--level", "readonly"]):
        assert run("lock", "create", "keep", *place).exit_code == 0
    unclear = run("lock", "delete", "keep")
    assert unclear.exit_code == 1 and "--group" in unclear.stderr
    assert run("lock", "delete", "keep", "--collection", NAME).exit_code == 0
    assert [str(lock.scope) for lock in served.service.points.locks()] == ["/resourceGroups/default"]
    assert run("lock", "create", "keep").exit_code == 2


def test_a_clean_up(run: Run, served: Served) -> None:
    run("protect", "Web01", "--vault", "v1")
    assert run("collection", "clean-up", "Web01").exit_code == 0
    assert served.service.jobs()[-1].operation is JobOperation.CLEAN_UP_POINTS


def test_profiles(run: Run) -> None:
    listed = CliRunner().invoke(app, ["profile", "list", "--json"])
    assert [each["name"] for each in json.loads(listed.stdout)] == [each.name for each in PROFILES]
    assert "overwinter" in run("profile", "show").stdout
    shown = run("profile", "show", "2019").stdout
    assert "4095 GiB" in shown and "Writes ExtentionOperationFailedForManagedDisks" in shown
    assert run("profile", "show", "1999").exit_code == 2
    wrong = CliRunner().invoke(app, ["serve", "--profile", "1999"])
    assert wrong.exit_code == 2 and "2021" in wrong.stderr


def test_the_stack_of_a_vault_goes_up(run: Run) -> None:
    assert "stack V2" in run("vault", "upgrade", "v1").stdout
