"""The doctor as one file: the same bytes each time, whole, and written by the command."""

import json
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

from typer.testing import CliRunner

import overwinter.extension
from overwinter.cli.main import app
from overwinter.guest.doctor_package import doctor_package

DOCTOR = Path(overwinter.extension.__file__).parent / "doctor"

#: Loads every module of the package; -S leaves nothing but the standard library beside it.
LOAD_ALL = """
import importlib, sys, zipfile
sys.path.insert(0, sys.argv[1])
for name in zipfile.ZipFile(sys.argv[1]).namelist():
    if name.startswith("overwinter/") and name.endswith(".py"):
        importlib.import_module(name[:-3].replace("/", ".").replace(".__init__", ""))
known = {*sys.stdlib_module_names, "overwinter", "__main__"}
strange = [name for name in sys.modules if name.split(".")[0] not in known]
assert not strange, strange
"""


def test_the_same_sources_give_the_same_bytes() -> None:
    assert doctor_package() == doctor_package()
    assert len(doctor_package()) < 128 * 1024


def test_it_is_whole_and_alone(package: Path) -> None:
    with zipfile.ZipFile(package) as archive:
        assert archive.testzip() is None
        entries = archive.infolist()
    names = [entry.filename for entry in entries]
    assert names == sorted(names)
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    sources = {path for pattern in ("*.py", "*.json") for path in DOCTOR.rglob(pattern)}
    assert {f"overwinter/extension/doctor/{path.relative_to(DOCTOR)}" for path in sources} <= set(names)
    subprocess.run([sys.executable, "-I", "-S", "-c", LOAD_ALL, package], check=True)


def test_it_starts_by_its_own_name(package: Path) -> None:
    done = subprocess.run([package, "--help"], capture_output=True, text=True, check=True)
    assert "Exit status: 0 all passed" in done.stdout


def test_the_command_writes_it_and_overwrites_nothing(tmp_path: Path) -> None:
    path = tmp_path / "doctor"
    done = CliRunner().invoke(app, ["guest-doctor", "--output", str(path), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["bytes"] == path.stat().st_size
    assert path.read_bytes() == doctor_package()
    assert stat.S_IMODE(path.stat().st_mode) & 0o755 == 0o755
    path.write_bytes(b"mine")
    again = CliRunner().invoke(app, ["guest-doctor", "--output", str(path)])
    assert again.exit_code == 1
    assert "ResourceAlreadyExists" in again.output
    assert path.read_bytes() == b"mine"
    nowhere = CliRunner().invoke(app, ["guest-doctor", "--output", str(tmp_path / "no/such/place")])
    assert nowhere.exit_code == 1
    assert "cannot be written" in nowhere.output
