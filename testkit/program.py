"""Overwinter as processes: the service, killed and restarted at will, and the commands against it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from typer.testing import CliRunner

from overwinter.cli.main import app
from overwinter.model.settings import DEFAULT_HYPERVISOR
from testkit.waiting import wait_until

PROGRAM = [sys.executable, "-m", "overwinter.cli.main"]
JOB_LIMIT_S = 240.0


@dataclass
class Answer:
    """How a command ended."""

    code: int
    output: str
    errors: str

    @property
    def json(self) -> Any:
        """Its answer."""
        return json.loads(self.output)


class Program:
    """One installation: a state directory, at most one running service, commands."""

    def __init__(
        self, directory: Path, database: str | None = None, hypervisor: str = DEFAULT_HYPERVISOR
    ) -> None:
        self.directory = directory
        self.state = directory / "state"
        self.images = directory / "images"
        self.images.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._hypervisor = hypervisor
        self._database = database
        self._service: subprocess.Popen[str] | None = None

    def start(self, kill_at: str | None = None, hold_at: str | None = None) -> None:
        """Start the service.

        With ``kill_at`` it kills itself the first time it reaches that place; with ``hold_at`` it waits there
        (see `held`).
        """
        environment = dict(os.environ)
        if kill_at is not None:
            marker = self.directory / f"killed-{kill_at}"
            marker.unlink(missing_ok=True)
            environment["OVERWINTER_KILL_AT"] = f"{kill_at}:{marker}"
        if hold_at is not None:
            self._hold = self.directory / f"held-{hold_at}-{uuid4().hex[:6]}"
            environment["OVERWINTER_HOLD_AT"] = f"{hold_at}:{self._hold}"
        command = [*PROGRAM, "serve", "--dir", str(self.state), "--listen", "127.0.0.1:0"]
        command += ["--hypervisor", self._hypervisor]
        command += ["--images", str(self.images)]
        command += [] if self._database is None else ["--database", self._database]
        with (self.directory / "service.log").open("ab") as log:
            self._service = subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self._service.stdout is not None
        assert self._service.stdout.readline(), (self.directory / "service.log").read_text()[-3000:]

    @property
    def is_held(self) -> bool:
        """Whether the service has reached the place at which it was told to wait."""
        return self._hold.exists()

    def go_on(self) -> None:
        """Let it wait no longer."""
        self._hold.write_text("go on")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within the block the service waits at the place it was started with."""
        wait_until(lambda: self.is_held, "the service did not reach the place", JOB_LIMIT_S)
        try:
            yield
        finally:
            self.go_on()

    def kill(self) -> None:
        """End the service with SIGKILL."""
        assert self._service is not None
        service, self._service = self._service, None
        service.kill()
        service.wait()

    def stop(self) -> int | None:
        """End the service politely; its exit status, null when it did not run."""
        if self._service is None:
            return None
        self._service.terminate()
        service, self._service = self._service, None
        return service.wait(timeout=60)

    def wait_killed(self) -> None:
        """Wait until the service has killed itself at the place it was started with."""
        service = self._service
        assert service is not None
        wait_until(lambda: service.poll() is not None, "the service did not reach the place", JOB_LIMIT_S)
        assert service.returncode == -signal.SIGKILL
        self._service = None

    def run(self, *words: str, typed: str = "") -> Answer:
        """Run a command with ``--json``; in this process, which saves most of its time."""
        done = CliRunner().invoke(app, [*words, "--dir", str(self.state), "--json"], input=typed)
        return Answer(done.exit_code, done.stdout, done.stderr)

    def do(self, *words: str) -> Any:
        """Run a command that must succeed; its JSON answer."""
        answer = self.run(*words)
        assert answer.code == 0, (words, answer)
        return answer.json

    def ended(self, job_id: str) -> Any:
        """The job once it has ended, whatever happens to the service meanwhile is the caller's business."""
        wait_until(
            lambda: self.do("job", "show", job_id)["ended"] is not None, f"{job_id} did not end", JOB_LIMIT_S
        )
        return self.do("job", "show", job_id)

    def newest_job(self, operation: str) -> str:
        """Id of the newest job of that kind."""
        return str(next(job for job in self.do("job", "list") if job["operation"] == operation)["id"])
