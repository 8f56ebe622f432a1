"""What the commands say when there is no service, a wrong one, or no right to use it; and `serve` itself."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from overwinter.api.certificates import TlsFiles, ensure_certificates
from overwinter.api.server import make_server
from overwinter.api.state import StateDirectory
from overwinter.cli.failure import Failure
from overwinter.cli.main import app
from overwinter.model.errors import NotPermitted, RequestError
from tests.api.fake_doctor import FakeDoctor
from tests.api.fake_service import FakeService
from tests.api.served import Served

REPOSITORY = Path(__file__).parents[2]


def vm_list(directory: Path) -> Result:
    return CliRunner().invoke(app, ["vm", "list", "--json", "--dir", str(directory)])


def error_of(result: Result) -> dict[str, str]:
    assert result.exit_code == 1, result.output
    error = json.loads(result.stdout)["error"]
    assert error["recommendations"]
    return dict(error)


@pytest.fixture
def copy(served: Served, tmp_path: Path) -> StateDirectory:
    """A state directory of its own that leads to the served API."""
    state = StateDirectory(tmp_path / "copy")
    state.root.mkdir()
    state.write_info(StateDirectory(served.directory).info())
    state.token_file.write_text(StateDirectory(served.directory).token())
    return state


def test_never_started(tmp_path: Path) -> None:
    error = error_of(vm_list(tmp_path))
    assert error["code"] == "ServiceUnreachable" and "overwinter serve" in error["recommendations"][0]
    shown = CliRunner().invoke(app, ["vm", "list", "--dir", str(tmp_path)])
    assert shown.exit_code == 1 and shown.stdout == "" and "overwinter serve" in shown.stderr


def test_not_running(copy: StateDirectory) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        copy.write_info(replace(copy.info(), endpoint=f"https://127.0.0.1:{taken.getsockname()[1]}"))
        error = error_of(vm_list(copy.root))
    assert error["code"] == "ServiceUnreachable" and "Nothing answers" in error["message"]


def test_wrong_token(copy: StateDirectory) -> None:
    assert vm_list(copy.root).exit_code == 0
    copy.token_file.write_text("wrong")
    assert error_of(vm_list(copy.root))["code"] == "AuthenticationFailed"


@pytest.mark.parametrize("damage", ["missing", "empty", "binary"])
def test_token_file_that_is_none(copy: StateDirectory, damage: str) -> None:
    copy.token_file.unlink()
    if damage != "missing":
        copy.token_file.write_bytes(b"" if damage == "empty" else b"\xff\xfe")
    assert error_of(vm_list(copy.root))["code"] in ("ServiceUnreachable", "AuthorizationFailed")


def test_token_of_another_user(copy: StateDirectory) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to become another user")
    copy.token_file.chmod(0o600)
    # The test's own directories are root's; the other user needs a way in.
    for parent in [copy.root, *copy.root.parents][:4]:
        parent.chmod(0o755)
    os.seteuid(65534)
    try:
        with pytest.raises(NotPermitted) as refused:
            copy.token()
    finally:
        os.seteuid(0)
    failure = Failure.of(refused.value)
    assert failure.code == "AuthorizationFailed" and "sudo" in failure.recommendations[0]


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"endpoint": 1, "subscriptionId": "x", "caFile": null}']
)
def test_damaged_service_file(copy: StateDirectory, content: str) -> None:
    copy.info_file.write_text(content)
    assert error_of(vm_list(copy.root))["code"] == "ServiceUnreachable"


def test_another_server_gets_no_token(copy: StateDirectory, tmp_path: Path) -> None:
    other = TlsFiles(tmp_path / "other")
    ensure_certificates(other, frozenset({"127.0.0.1"}), datetime.now(UTC))
    with strange_server(other, b"") as (port, received):
        copy.write_info(replace(copy.info(), endpoint=f"https://127.0.0.1:{port}"))
        error = error_of(vm_list(copy.root))
    assert "is not the service of this state directory" in error["message"]
    assert received == []


@pytest.mark.parametrize(
    "answer",
    [
        b"hello",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 502 Bad\r\ncontent-length: 0\r\n\r\n",
        b'HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{"value":[1]}',
    ],
)
def test_nonsense_answers(copy: StateDirectory, served: Served, answer: bytes) -> None:
    with strange_server(StateDirectory(served.directory).tls, answer) as (port, _):
        copy.write_info(replace(copy.info(), endpoint=f"https://127.0.0.1:{port}"))
        assert error_of(vm_list(copy.root))["code"] == "ServiceUnreachable"


@contextmanager
def strange_server(files: TlsFiles, answer: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Answers every request with the same bytes; remembers what it was sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    received: list[bytes] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        while True:
            try:
                plain, _ = listening.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(plain, server_side=True) as connection:
                    received.append(connection.recv(65536))
                    connection.sendall(answer)
            except OSError:
                continue

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield listening.getsockname()[1], received
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def test_serve_in_a_process(tmp_path: Path) -> None:
    """The real command over a fake service: starts, tells its address, serves, stops at SIGTERM."""
    program = textwrap.dedent("""
        import contextlib, sys, types
        from tests.api.fake_service import FakeService
        start = types.ModuleType("overwinter.jobs.start")
        start.open_service = lambda settings, explain: contextlib.nullcontext(FakeService("Web01"))
        start.end_process = sys.exit
        FakeService.runtime = None  # the doctor gets it, and nobody asks the doctor
        sys.modules["overwinter.jobs.start"] = start
        from overwinter.cli.main import main
        main()
    """)
    directory = tmp_path / "state"
    words = ["serve", "--dir", str(directory), "--listen", "127.0.0.1:0", "--json"]
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY / 'src'}:{REPOSITORY}"}
    with subprocess.Popen(
        [sys.executable, "-c", program, *words], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline() + process.stdout.readline() + process.stdout.readline()
            assert f'"directory": "{directory}"' in line
            assert [vm["name"] for vm in json.loads(vm_list(directory).stdout)] == ["Web01"]
            token = StateDirectory(directory).token()
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    assert StateDirectory(directory).ensure_token() == token
    assert StateDirectory(directory).token_file.stat().st_mode & 0o777 == 0o600


def test_serve_where_another_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RequestError, match="--listen"):
            make_server(
                FakeService(), FakeDoctor(), tmp_path, host="127.0.0.1", port=port, now=datetime.now(UTC)
            )
    assert not StateDirectory(tmp_path).info_file.exists()
