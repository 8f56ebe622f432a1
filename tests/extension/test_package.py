"""The package: the same bytes each time, for old Pythons, of nothing but the standard library."""

import ast
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import overwinter.extension
from overwinter.guest.extension_package import HANDLER, extension_package

ROOM = Path(overwinter.extension.__file__).parent
MODULES = sorted(ROOM.rglob("*.py"))

#: A program of its own, in a package of its own.
DOCTOR = sorted((ROOM / "doctor").rglob("*.py"))

#: Of these modules Python 3.6 has less, or nothing, or they are no part of a guest's minimal Python.
TOO_NEW_MODULES = {"dataclasses", "contextvars", "graphlib", "tomllib", "zoneinfo", "importlib.resources"}

#: Arguments and functions that came after Python 3.6, where they would be used.
TOO_NEW_NAMES = {"capture_output", "text", "monotonic_ns", "time_ns", "fromisoformat", "removeprefix"}
TOO_NEW_NAMES |= {
    "removesuffix",
    "cached_property",
    "posix_spawn",
    "missing_ok",
    "dirs_exist_ok",
    "nullcontext",
}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_python_3_6_understands_every_module(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 6))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.module != "__future__", "annotations of the future came with Python 3.7"
        if isinstance(node, ast.keyword):
            assert node.arg not in TOO_NEW_NAMES, node.arg
        if isinstance(node, ast.Attribute):
            assert node.attr not in TOO_NEW_NAMES, node.attr


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_only_the_standard_library_and_the_room_itself(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [str(node.module)]
        for name in names:
            ours = name == "overwinter.extension" or name.startswith("overwinter.extension.")
            assert ours or name.partition(".")[0] in sys.stdlib_module_names, name
            assert name not in TOO_NEW_MODULES


def test_the_same_sources_give_the_same_bytes() -> None:
    first = extension_package()
    extension_package.cache_clear()
    second = extension_package()
    assert first == second and first.content == second.content
    assert len(first.content) < 128 * 1024


def test_it_describes_itself_as_a_handler() -> None:
    package = extension_package()
    with zipfile.ZipFile(io.BytesIO(package.content)) as archive:
        assert archive.testzip() is None
        (manifest,) = json.loads(archive.read("HandlerManifest.json"))
        names = set(archive.namelist())
    assert (manifest["name"], manifest["version"]) == (HANDLER, package.version)
    assert all(part.isdigit() for part in package.version.split("."))
    for command in ("install", "enable", "disable", "update", "uninstall"):
        assert manifest["handlerManifest"][f"{command}Command"] == f"sh handler.sh {command}"
    own = {path.relative_to(ROOM) for path in MODULES} - {path.relative_to(ROOM) for path in DOCTOR}
    assert {f"overwinter/extension/{path}" for path in own} <= names
    assert not [name for name in names if "doctor" in name]


def test_it_runs_as_a_file_and_as_a_folder_and_refuses_nonsense(tmp_path: Path) -> None:
    package = extension_package()
    file = tmp_path / "extension.pyz"
    file.write_bytes(package.content)
    with zipfile.ZipFile(file) as archive:
        archive.extractall(tmp_path / "folder")
    for command in ([sys.executable, "-IS", str(file)], ["sh", str(tmp_path / "folder/handler.sh")]):
        for word, complaint in (("dance", "install | enable"), ("install", "HandlerEnvironment.json")):
            done = subprocess.run([*command, word], cwd=tmp_path, capture_output=True, text=True, check=False)
            assert done.returncode == 1 and complaint in done.stderr
