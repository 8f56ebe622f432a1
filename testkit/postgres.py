"""A throw-away PostgreSQL server: its own data directory, a Unix socket, no network, gone afterwards."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from testkit.waiting import wait_until

#: Debian keeps server programs out of PATH, in one directory per major version.
VERSIONS = Path("/usr/lib/postgresql")

#: The server refuses to run as root. The user comes with the package.
USER = "postgres"
AS_USER = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--")

#: Nobody will miss the data.
INITDB_OPTIONS = ("--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
SETTINGS = ("listen_addresses=", "fsync=off", "synchronous_commit=off", "full_page_writes=off")


@dataclass(frozen=True)
class PostgresServer:
    """A running server; only root and its own user reach the socket in ``directory``."""

    directory: Path
    programs: Path
    process: int

    def new_database(self) -> str:
        """Create an empty database and return its URL."""
        name = f"test_{uuid4().hex[:12]}"
        subprocess.run([self.programs / "createdb", "-h", self.directory, "-U", USER, name], check=True)
        return f"postgresql+psycopg://{USER}@/{name}?host={self.directory}"

    @property
    def answers(self) -> bool:
        """Whether it takes connections."""
        ask = subprocess.run([self.programs / "pg_isready", "-q", "-h", self.directory], check=False)
        return ask.returncode == 0


@contextmanager
def postgres_server(directory: Path, data: Path | None = None) -> Iterator[PostgresServer]:
    """Run a server with its socket in the new ``directory``, whose parent every user may enter.

    Its data are made there as well, unless they are somewhere already.
    """
    programs = max(VERSIONS.iterdir(), key=lambda path: int(path.name)) / "bin"
    directory.mkdir(mode=0o700)
    shutil.chown(directory, USER, USER)
    if data is None:
        data = directory / "data"
        initdb: list[str | Path] = [programs / "initdb", "-D", data, "-U", USER, *INITDB_OPTIONS]
        subprocess.run([*AS_USER, *initdb], cwd="/", check=True, capture_output=True)
    settings = [argument for setting in SETTINGS for argument in ("-c", setting)]
    postgres: list[str | Path] = [programs / "postgres", "-D", data, "-k", directory, *settings]
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(
            [*AS_USER, *postgres], cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    server = PostgresServer(directory, programs, process.pid)
    try:
        wait_until(lambda: server.answers, f"PostgreSQL does not start, see {log.name}")
        yield server
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
