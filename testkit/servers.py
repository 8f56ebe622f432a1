"""Server programs on loopback: where they are installed, ports for them, starting and ending one.

A server that was killed can be started again on the same port and data.
"""

import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from testkit.waiting import wait_until

LOOPBACK = "127.0.0.1"

#: ``scripts/setup test`` installs them here.
_INSTALLED = Path(__file__).parents[1] / ".cache" / "servers"
WHEELS = _INSTALLED / "wheels"
NPM_PACKAGES = _INSTALLED / "npm" / "node_modules"


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody uses now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [each.getsockname()[1] for each in sockets]


class Server:
    """One program that serves until it is ended; ``answers`` says whether it is ready."""

    def __init__(
        self,
        command: Sequence[str | Path],
        environment: Mapping[str, str],
        log: Path,
        answers: Callable[[], bool],
    ) -> None:
        self._command = command
        self._environment = environment
        self._log = log
        self._answers = answers
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd="/",
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(self._ready, f"{self._command[0]} does not answer, see {self._log}", 60)

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it and wait until it is gone."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)

    def _ready(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"{self._command[0]} ended with {self._process.returncode}, see {self._log}")
        return self._answers()
