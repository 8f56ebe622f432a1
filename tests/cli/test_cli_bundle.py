"""``overwinter doctor --bundle``: one new file that only its owner reads, or none at all."""

import json
from pathlib import Path

from click.testing import Result
from typer.testing import CliRunner

from overwinter.cli.main import app
from tests.api.fake_doctor import BUNDLE
from tests.api.served import Served


def run(served: Served, vm: str, file: Path, *words: str) -> Result:
    arguments = ["doctor", vm, "--bundle", str(file), "--dir", str(served.directory), *words]
    return CliRunner().invoke(app, arguments)


def test_a_bundle_is_written(served: Served, tmp_path: Path) -> None:
    file = tmp_path / "bundle.zip"
    done = run(served, "Web01", file, "--json")
    assert done.exit_code == 0, "the VM is ill, and yet the bundle was made"
    assert json.loads(done.stdout) == {"vm": "Web01", "file": str(file), "bytes": len(BUNDLE)}
    assert file.read_bytes() == BUNDLE
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["bundle.zip"]
    words = run(served, "db01", tmp_path / "other.zip")
    assert "README.txt" in words.stdout and "Look through it" in words.output


def test_an_existing_file_is_not_touched(served: Served, tmp_path: Path) -> None:
    file = tmp_path / "bundle.zip"
    file.write_text("somebody's")
    done = run(served, "Web01", file)
    assert done.exit_code == 1 and "ResourceAlreadyExists" in done.output
    dangling = tmp_path / "link"
    dangling.symlink_to(tmp_path / "elsewhere")
    assert run(served, "Web01", dangling).exit_code == 1
    assert file.read_text() == "somebody's"
    assert not (tmp_path / "elsewhere").exists()


def test_what_fails_leaves_nothing(served: Served, tmp_path: Path) -> None:
    gone = run(served, "nobody", tmp_path / "bundle.zip")
    assert gone.exit_code == 1 and "ResourceNotFound" in gone.output
    nowhere = run(served, "Web01", tmp_path / "missing" / "bundle.zip")
    assert nowhere.exit_code == 1 and "no directory" in nowhere.output
    assert list(tmp_path.iterdir()) == []
