"""The house stands: rooms import only downwards, and libvirt and its like stay in their rooms."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "overwinter"

FLOORS = [
    "model",
    "codebook",
    "vault",
    "images",
    "hypervisor",
    "extension",
    "guest",
    "catalog",
    "jobs",
    "doctor",
    "api",
    "cli",
]

#: Libraries that only one room may know.
OWNERS = {
    "libvirt": {"hypervisor"},
    "libvirt_qemu": {"hypervisor"},
    "nbd": {"images"},
    "dbos": {"jobs"},
    "sqlalchemy": {"catalog"},
    "fastapi": {"api"},
    "typer": {"cli"},
    "tzlocal": {"model"},
    "obstore": {"vault"},
    "numpy": {"vault"},
    "pkcs11": {"vault"},
    "zstandard": {"vault"},
}


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_go_downwards(path: Path) -> None:
    room = path.relative_to(SOURCE).parts[0]
    if room not in FLOORS:
        assert path.parent == SOURCE, f"{room} is no room of the house"
        return
    for name in imports_of(path):
        parts = name.split(".")
        if parts[0] == "overwinter" and len(parts) > 1 and parts[1] in FLOORS:
            assert FLOORS.index(parts[1]) <= FLOORS.index(room), f"{path} imports upwards: {name}"
        if parts[0] in OWNERS:
            assert room in OWNERS[parts[0]], f"{path} imports {parts[0]}, which belongs to {OWNERS[parts[0]]}"
