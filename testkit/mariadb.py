"""A throw-away MariaDB server: its own data directory, a Unix socket, no network, gone afterwards."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testkit.postgres import AS_USER, USER
from testkit.waiting import wait_until

#: No settings of the host; a server of its own size.
SETTINGS = (
    "--no-defaults",
    "--skip-networking",
    "--innodb-buffer-pool-size=16M",
    "--innodb-log-file-size=8M",
)


@dataclass(frozen=True)
class MariadbServer:
    """A running server; root is let in without a password, by any user who reaches ``socket``."""

    directory: Path
    process: int

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.directory / "socket"

    @property
    def client(self) -> list[str]:
        """Command of a client."""
        return ["mariadb", "--no-defaults", f"--socket={self.socket}", "--user=root"]

    def run(self, statements: str) -> str:
        """Output of statements, which must succeed."""
        command = [*self.client, "--batch", "--skip-column-names"]
        done = subprocess.run(command, input=statements, capture_output=True, text=True, check=True)
        return done.stdout

    @property
    def answers(self) -> bool:
        """Whether it takes connections."""
        return (
            subprocess.run([*self.client, "--execute=DO 1"], capture_output=True, check=False).returncode == 0
        )


@contextmanager
def mariadb_server(directory: Path, *settings: str, data: Path | None = None) -> Iterator[MariadbServer]:
    """Run a server in the new ``directory``, whose parent every user may enter; on ``data`` if given.

    It runs as the user of the test kit's other databases.
    """
    directory.mkdir(mode=0o755)
    shutil.chown(directory, USER, USER)
    if data is None:
        data = directory / "data"
        install = [
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={data}",
            "--auth-root-authentication-method=normal",
        ]
        subprocess.run([*AS_USER, *install, "--skip-test-db"], cwd="/", check=True, capture_output=True)
    command = ["mariadbd", *SETTINGS, f"--datadir={data}", f"--socket={directory / 'socket'}", *settings]
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(
            [*AS_USER, *command], cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    server = MariadbServer(directory, process.pid)
    try:
        wait_until(lambda: server.answers, f"MariaDB does not start, see {log.name}")
        yield server
    finally:
        process.terminate()
        process.wait(30)
