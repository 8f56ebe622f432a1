"""The command itself: its version, and that it starts quickly."""

import subprocess
import sys
from importlib.metadata import version

from typer.testing import CliRunner

from overwinter.cli.main import app


def test_it_tells_its_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"overwinter {version('overwinter')}\n")


def test_it_starts_without_the_libraries_of_the_service() -> None:
    """Loading them takes longer than most commands do."""
    code = "import sys, overwinter.cli.main; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"alembic", "dbos", "fastapi", "libvirt", "nbd", "numpy", "psycopg", "sqlalchemy", "uvicorn"}
    assert not heavy & set(loaded.stdout.split())
