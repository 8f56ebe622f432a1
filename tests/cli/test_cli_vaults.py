"""``overwinter vault`` against a served API: what is asked of the service, and what people read."""

import json
from collections.abc import Callable

import pytest
from click.testing import Result
from typer.testing import CliRunner

from overwinter.cli.main import app
from overwinter.model.job import JobError, JobOperation, JobStatus
from tests.api.served import Served

Run = Callable[..., Result]

REPORT: dict[str, object] = {
    "objects": 9,
    "points": 2,
    "packs": 3,
    "bytes_read": 4096,
    "is_whole": True,
    "damages": [],
    "more_damages": 0,
}
DISK = {
    "vm": "Web01",
    "point": "17",
    "name": "p-1",
    "target": "vda",
    "bytes": 8192,
    "ranges": [{"offset": 65536, "length": 8192}],
    "more_ranges": 2,
}
DAMAGE = {"object": "packs/ab", "reason": "it is cut", "harmless": False, "disks": [DISK], "more_disks": 4}


@pytest.fixture
def run(served: Served) -> Run:
    served.service.auto_finish = True
    return lambda *words: CliRunner().invoke(app, [*words, "--dir", str(served.directory)])


@pytest.mark.parametrize(
    ("words", "percent"),
    [
        (["v1"], 0),
        (["v1", "--read-data"], 100),
        (["--read-data", "v1"], 100),
        (["v1", "--read-data", "2.5"], 2.5),
        (["v1", "--read-data", ".5"], 0.5),
        (["v1", "--read-data", "--json"], 100),
    ],
)
def test_how_much_is_read(run: Run, served: Served, words: list[str], percent: float) -> None:
    result = run("vault", "verify", *words)
    assert result.exit_code == 0, result.output
    assert served.service.vaults.asked == [(JobOperation.VERIFY, percent, None)]


def test_a_whole_vault_is_said_to_be_whole(run: Run, served: Served) -> None:
    served.service.report = REPORT
    text = run("vault", "verify", "v1", "--point", "17").stdout
    assert "9 objects, 2 recovery points, 3 packs; 4 KiB read and compared" in text
    assert "Everything that recovery points need is there and whole." in text
    assert served.service.vaults.asked == [(JobOperation.VERIFY, 0, "17")]


def test_damage_is_told_with_what_it_touches(run: Run, served: Served) -> None:
    served.service.report = {**REPORT, "is_whole": False, "damages": [DAMAGE]}
    served.service.auto_finish = False
    job = CliRunner().invoke(app, ["vault", "verify", "v1", "--no-wait", "--dir", str(served.directory)])
    assert job.exit_code == 0
    served.service.finish(served.service.jobs()[-1], JobStatus.FAILED, JobError("VaultDataCorrupt", "bad"))
    result = run("job", "wait", str(served.service.jobs()[-1].id))
    assert result.exit_code == 1
    line = next(line for line in result.stdout.splitlines() if line.startswith("packs/ab"))
    for word in ("Web01", "vda", "17", "8 KiB from byte 65536, 3 places", "it is cut"):
        assert word in line
    assert "And 4 more." in result.stdout


def test_what_a_repair_did(run: Run, served: Served) -> None:
    lost = {"vm": None, "point": None, "name": None, "removed": True, "reason": "torn"}
    served.service.report = {
        "packs": 3,
        "blobs": 12,
        "packs_searched": 1,
        "objects_replaced": 2,
        "lost_points": [lost],
        "verified": REPORT,
    }
    text = run("vault", "repair", "v1", "--remove-lost").stdout
    assert "3 packs, 12 pieces of data; 1 packs searched, 2 objects replaced" in text
    assert "removed" in text and "torn" in text
    assert served.service.vaults.asked == [(JobOperation.REPAIR, True)]


def test_copies(run: Run, served: Served) -> None:
    served.service.vaults.create("v2", "default")
    assert run("vault", "copy", "v1", "v2").exit_code == 0
    assert run("vault", "copy", "v1", "v2", "--points", "1,2").exit_code == 0
    assert run("vault", "copy", "v1", "v2", "--points", ",").exit_code == 2
    asked = served.service.vaults.asked
    assert asked == [(JobOperation.COPY, "v2", None), (JobOperation.COPY, "v2", ["1", "2"])]


def test_attaching_names_a_vault_after_its_place(run: Run, served: Served, tmp_path: object) -> None:
    result = run("vault", "attach", "file:///mnt/backup/home/", "--key", "some.key", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (document["new_points"], document["new_vms"]) == (3, 2)
    assert document["vault"]["name"] == "home"
    assert document["vault"]["key"].startswith("/") and document["vault"]["key"].endswith("/some.key")


def test_statistics(run: Run) -> None:
    text = run("vault", "stats", "v1", "--points").stdout
    assert "3 GiB" in text and "Web01" in text and "1767234600000000" in text and "█" in text
    assert "Growth: not known yet" in text
    document = json.loads(run("vault", "stats", "v1", "--json").stdout)
    assert document["stored"] == 1 << 30 and document["free"] == 5 << 30


def test_a_forgotten_vault_can_be_attached_again(run: Run, served: Served) -> None:
    result = run("vault", "detach", "v1")
    assert result.exit_code == 0
    assert "vault attach 'file:///vaults/v1' --key /vaults/v1.key --name v1" in result.stderr
    assert served.service.vaults.every() == []
