"""Overwinter as a user meets it: the service as a process, the commands typed one by one."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from demo.place import STATE

PROGRAM = [sys.executable, "-m", "overwinter.cli.main"]

console = Console(highlight=False)


class DemoFailed(Exception):
    """A step did not do what it must; the message says which."""


@contextmanager
def service(images: Path) -> Iterator[None]:
    """``overwinter serve`` in a directory of its own, ready to answer; stopped at the end."""
    command = [*PROGRAM, "serve", "--dir", str(STATE), "--listen", "127.0.0.1:0", "--images", str(images)]
    console.print(f"[bold]$ overwinter serve --dir {STATE}[/bold]")
    with (STATE.parent / "service.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    try:
        ready = process.stdout.readline()
        if not ready:
            raise DemoFailed(f"the service did not start; see {STATE.parent}/service.log")
        console.print(ready.strip())
        yield
    finally:
        process.terminate()
        process.wait()


def type_command(*words: str) -> None:
    """Run a command as a person would and show what it shows. Raises DemoFailed when it fails."""
    console.print(f"\n[bold]$ overwinter {' '.join(words)}[/bold]")
    if subprocess.run([*PROGRAM, *words], env=_environment()).returncode != 0:
        raise DemoFailed(f"overwinter {words[0]} failed")


def ask(*words: str) -> Any:
    """The JSON answer of a command. Raises DemoFailed when it fails."""
    answer = subprocess.run([*PROGRAM, *words, "--json"], env=_environment(), stdout=subprocess.PIPE)
    if answer.returncode != 0:
        raise DemoFailed(f"overwinter {' '.join(words)} failed")
    return json.loads(answer.stdout)


def _environment() -> dict[str, str]:
    return {**os.environ, "OVERWINTER_DIR": str(STATE)}
