"""Following a job: on a terminal, and through a restart of the service."""

import re
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from overwinter.api.state import StateDirectory
from overwinter.cli import progress
from overwinter.cli.client import Client
from overwinter.cli.connection import connect
from overwinter.cli.main import app
from overwinter.cli.output import Output, length, size
from overwinter.cli.views import JobView
from overwinter.model.errors import ServiceUnreachable
from overwinter.model.job import Job
from tests.api.fake_service import GIB, FakeService
from tests.api.served import Served, fresh_service, serving


def backup(service: FakeService) -> Job:
    service.finish(service.protect(service.vaults.get("v1"), service.machine("Web01"), "DefaultPolicy"))
    return service.backup(service.items()[0], expires=None)


def test_bars_on_a_terminal(served: Served) -> None:
    job = backup(served.service)

    def work() -> None:
        for part in range(1, 4):
            served.service.advance(job, part * GIB // 2)
            served.service.wait_until_seen(job)
        served.service.finish(served.service.job(job.id))

    worker = threading.Thread(target=work)
    worker.start()
    words = ["job", "wait", str(job.id), "--dir", str(served.directory)]
    terminal = {"FORCE_COLOR": "1", "COLUMNS": "120", "TERM": "xterm"}
    shown = CliRunner().invoke(app, words, env=terminal)
    worker.join()
    assert shown.exit_code == 0, shown.output
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.stderr)
    assert "Take Snapshot" in plain and "Transfer data to vault" in plain
    assert re.search(r"GiB of 3 GiB  [\d.]+ [MG]iB/s  .*left", plain)
    assert "3 GiB of 3 GiB" in plain and "Backup of Web01: Completed" in shown.stdout


class Waiter:
    """Somebody who follows a job in a thread."""

    def __init__(self, state: StateDirectory, job: Job) -> None:
        self._end: JobView | ServiceUnreachable | None = None
        self._thread = threading.Thread(target=self._follow, args=(state, str(job.id)))
        self._thread.start()

    def _follow(self, state: StateDirectory, job_id: str) -> None:
        with connect(state, "en") as connection:
            client = Client(connection)
            try:
                self._end = progress.follow(client, client.job(job_id), Output(as_json=True))
            except ServiceUnreachable as error:
                self._end = error

    def end(self) -> JobView | ServiceUnreachable | None:
        """How it ended."""
        self._thread.join(timeout=60)
        return self._end


def test_waiting_outlives_a_restart(tmp_path: Path) -> None:
    with serving(tmp_path) as first:
        service = fresh_service(first)
        job = backup(service)
        port = int(first.state.info().endpoint.rsplit(":", 1)[1])
        waiter = Waiter(first.state, job)
        service.wait_until_seen(job)
    with serving(tmp_path, port) as second:
        second.app.state.service = service
        service.wait_until_seen(job)
        service.finish(service.job(job.id))
        result = waiter.end()
    assert isinstance(result, JobView) and result.status == "Completed"


def test_waiting_ends_when_the_service_stays_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_PATIENCE", 0.5)
    with serving(tmp_path) as first:
        service = fresh_service(first)
        job = backup(service)
        waiter = Waiter(first.state, job)
        service.wait_until_seen(job)
    result = waiter.end()
    assert isinstance(result, ServiceUnreachable)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (3 * GIB, "3 GiB"),
        (1 << 50, "1.0 PiB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (92, "1 min 32 s"), (7260, "2 h 1 min")]
)
def test_lengths(seconds: float, text: str) -> None:
    assert length(seconds) == text
