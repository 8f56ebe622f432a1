"""The ready-made scripts on real servers: what they promise is in the copy that is taken between them."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from overwinter.extension import scripts
from testkit.mariadb import MariadbServer, mariadb_server
from testkit.postgres import USER, PostgresServer, postgres_server
from testkit.waiting import wait_until

READY = Path(scripts.__file__).with_name("ready")
POSTGRESQL, MARIADB = READY / "postgresql", READY / "mariadb"


def run(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([script, *arguments], capture_output=True, text=True, check=False, timeout=60)


def succeed(script: Path, *arguments: str) -> None:
    done = run(script, *arguments)
    assert done.returncode == 0, done.stderr


class Inserts:
    """Inserts 1, 2, 3 … each in a transaction of its own, through one client that answers each."""

    def __init__(self, client: list[str]) -> None:
        self.answered = 0
        self._client = subprocess.Popen(client, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        assert self._client.stdin is not None
        assert self._client.stdout is not None
        while not self._end.is_set():
            number = self.answered + 1
            self._client.stdin.write(f"INSERT INTO numbers VALUES ({number}); SELECT {number};\n")
            self._client.stdin.flush()
            if self._client.stdout.readline() != f"{number}\n":
                return
            self.answered = number

    def wait_for_more(self) -> None:
        """Wait until some more are in."""
        wanted = self.answered + 20
        wait_until(lambda: self.answered >= wanted, "nothing is inserted")

    def close(self) -> None:
        """End them."""
        self._end.set()
        self._thread.join()
        self._client.communicate()


@contextmanager
def standing_still(process: int) -> Iterator[None]:
    """Within the block no process of a server runs, as if the VM stood still."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    processes = [process, *(int(child) for child in children)]
    for one in processes:
        os.kill(one, signal.SIGSTOP)
    try:
        wait_until(lambda: all(_is_stopped(one) for one in processes), "a process does not stop")
        yield
    finally:
        for one in processes:
            os.kill(one, signal.SIGCONT)


def _is_stopped(process: int) -> bool:
    tasks = Path(f"/proc/{process}/task").glob("*/stat")
    return all(task.read_text().rpartition(")")[2].split()[0] in "TX" for task in tasks)


def copy(data: Path, target: Path) -> Path:
    """A copy of a data directory, owned by the servers' user."""
    subprocess.run(["cp", "-a", data, target], check=True)
    return target


def test_they_come_out_of_the_package(tmp_path: Path) -> None:
    archive = tmp_path / "package.pyz"
    with zipfile.ZipFile(archive, "w") as package:
        package.writestr("overwinter/__init__.py", "")
        for path in (READY.parent / "__init__.py", READY.parent / "ready_scripts.py", *READY.iterdir()):
            package.write(path, path.relative_to(READY.parents[2]))
    (tmp_path / "ready").mkdir(mode=0o700)
    (tmp_path / "ready/mariadb").write_text("an older one")
    unpack = (
        "from pathlib import Path; from overwinter.extension.ready_scripts import *; unpack(Path('ready'))"
    )
    for source in (archive, READY.parents[2]):
        command = [sys.executable, "-c", f"import sys; sys.path[:] = [{str(source)!r}, *sys.path]; {unpack}"]
        subprocess.run(command, cwd=tmp_path, check=True, env={})
        unpacked = sorted((tmp_path / "ready").iterdir())
        assert [path.name for path in unpacked] == sorted(path.name for path in READY.iterdir())
        assert all(path.read_bytes() == (READY / path.name).read_bytes() for path in unpacked)
        assert {path.stat().st_mode & 0o777 for path in unpacked} == {0o700}
        shutil.rmtree(tmp_path / "ready")


# --- PostgreSQL -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory that the servers' user may enter."""
    made = Path(f"/tmp/overwinter-ready-{os.getpid()}")
    made.mkdir(mode=0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def postgresql(directory: Path) -> Iterator[PostgresServer]:
    """A server that answers commits before they are on the disk (``synchronous_commit=off``)."""
    with postgres_server(directory / "postgresql") as server:
        yield server


def psql(server: PostgresServer, database: str) -> list[str]:
    return ["psql", "-qAtX", "-h", str(server.directory), "-U", USER, database]


def ask(server: PostgresServer, database: str, query: str) -> str:
    command = [*psql(server, database), "-c", query]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_postgresql_has_what_was_committed_before(postgresql: PostgresServer, directory: Path) -> None:
    name = urlsplit(postgresql.new_database()).path.lstrip("/")
    ask(postgresql, name, "CREATE TABLE numbers (number integer PRIMARY KEY)")
    inserts = Inserts(psql(postgresql, name))
    try:
        inserts.wait_for_more()
        least = inserts.answered
        succeed(POSTGRESQL, "pre", str(postgresql.directory))
        with standing_still(postgresql.process):
            most = inserts.answered + 1
            copied = copy(postgresql.directory / "data", directory / "restored-data")
        inserts.wait_for_more()
        succeed(POSTGRESQL, "post", str(postgresql.directory))
    finally:
        inserts.close()
    (copied / "postmaster.pid").unlink()
    with postgres_server(directory / "restored", data=copied) as restored:
        numbers = ask(restored, name, "SELECT count(*), max(number) FROM numbers").split("|")
    assert numbers[0] == numbers[1], "there is a gap"
    assert least <= int(numbers[0]) <= most


def test_a_server_that_was_restarted_is_noticed(directory: Path) -> None:
    place = directory / "restarted"
    with postgres_server(place):
        succeed(POSTGRESQL, "pre", str(place))
    (place / "data").rename(directory / "restarted-data")
    shutil.rmtree(place)
    with postgres_server(place, data=directory / "restarted-data"):
        done = run(POSTGRESQL, "post", str(place))
    assert done.returncode == 1
    assert "restarted" in done.stderr


def test_a_server_that_has_ended_is_noticed(directory: Path) -> None:
    place = directory / "ended"
    with postgres_server(place):
        succeed(POSTGRESQL, "pre", str(place))
    assert run(POSTGRESQL, "post", str(place)).returncode == 1


def test_no_server_is_no_success(directory: Path) -> None:
    assert "no PostgreSQL server" in run(POSTGRESQL, "pre", str(directory)).stderr
    assert run(POSTGRESQL, "post", str(directory)).returncode != 0


# --- MariaDB ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mariadb(directory: Path) -> Iterator[MariadbServer]:
    with mariadb_server(directory / "mariadb") as server:
        server.run("CREATE DATABASE test")
        yield server


@pytest.fixture
def options(mariadb: MariadbServer) -> Iterator[list[str]]:
    yield mariadb.client[1:]
    run(MARIADB, "post")


@pytest.fixture
def lazy(mariadb: MariadbServer) -> Iterator[None]:
    """The server answers commits before they are on the disk."""
    mariadb.run("SET GLOBAL innodb_flush_log_at_trx_commit = 0")
    yield
    mariadb.run("SET GLOBAL innodb_flush_log_at_trx_commit = 1")


@pytest.mark.usefixtures("lazy")
@pytest.mark.parametrize("engine", ["InnoDB", "MyISAM", "Aria"])
def test_mariadb_has_exactly_what_was_committed_before(
    mariadb: MariadbServer, options: list[str], directory: Path, engine: str
) -> None:
    mariadb.run(f"CREATE OR REPLACE TABLE test.numbers (number integer PRIMARY KEY) ENGINE={engine}")
    inserts = Inserts([*mariadb.client, "--batch", "--skip-column-names", "--unbuffered", "test"])
    try:
        inserts.wait_for_more()
        least = inserts.answered
        succeed(MARIADB, "pre", "60", *options)
        committed = inserts.answered
        with standing_still(mariadb.process):
            copied = copy(mariadb.directory / "data", directory / f"copy-{engine}")
        assert inserts.answered == committed, "nothing is committed while it is held"
        succeed(MARIADB, "post")
        inserts.wait_for_more()
    finally:
        inserts.close()
    with mariadb_server(directory / f"restored-{engine}", data=copied) as restored:
        assert restored.run("CHECK TABLE test.numbers").endswith("OK\n")
        numbers = restored.run("SELECT count(*), max(number) FROM test.numbers").split()
    assert numbers == [str(committed)] * 2
    assert committed >= least


def test_what_is_not_let_go_ends_by_itself(mariadb: MariadbServer, options: list[str]) -> None:
    mariadb.run("CREATE OR REPLACE TABLE test.numbers (number integer PRIMARY KEY)")
    succeed(MARIADB, "pre", "1", *options)
    mariadb.run("INSERT INTO test.numbers VALUES (1)")
    done = run(MARIADB, "post")
    assert done.returncode == 1
    assert "not held until now" in done.stderr


def test_it_is_held_once(mariadb: MariadbServer, options: list[str]) -> None:
    succeed(MARIADB, "pre", "60", *options)
    assert "still held" in run(MARIADB, "pre", "60", *options).stderr
    succeed(MARIADB, "post")
    succeed(MARIADB, "pre", "60", *options)
    succeed(MARIADB, "post")


def test_a_connection_that_is_killed_is_noticed(mariadb: MariadbServer, options: list[str]) -> None:
    succeed(MARIADB, "pre", "60", *options)
    own = "SELECT id FROM information_schema.processlist WHERE id <> connection_id() AND user = 'root'"
    (holder,) = mariadb.run(own).split()
    mariadb.run(f"KILL {holder}")
    assert run(MARIADB, "post").returncode == 1


def test_a_server_that_another_backup_holds_is_not_waited_for(
    mariadb: MariadbServer, options: list[str]
) -> None:
    command = [*mariadb.client, "--unbuffered", "--skip-column-names", "--batch"]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdin is not None
    assert other.stdout is not None
    other.stdin.write("BACKUP STAGE START; SELECT 1;\n")
    other.stdin.flush()
    other.stdout.readline()
    try:
        done = run(MARIADB, "pre", "1", *options)
        assert done.returncode == 1
        assert "Lock wait timeout" in done.stderr
    finally:
        other.communicate()


def test_no_connection_is_no_success(mariadb: MariadbServer) -> None:
    assert "could not be held" in run(MARIADB, "pre", "60", "--no-defaults", "--socket=/nowhere").stderr
    assert run(MARIADB, "post").returncode == 1


@pytest.mark.parametrize("script", [POSTGRESQL, MARIADB])
def test_usage(script: Path) -> None:
    assert run(script).returncode == 2
    assert run(script, "restore").returncode == 2
