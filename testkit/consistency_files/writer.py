"""Writes ever greater numbers and tells in /run/writers what was done. Runs in the Debian guest.

    writer.py files | postgresql | mariadb

The files: a number is written with fsync to one file system after the other, so a later one is never ahead; a
second one is written to all without. The databases: each number is a row of its own transaction.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

PAUSE_S = 0.05
PLACES = ["/data/ext4", "/data/xfs", "/data/btrfs", "/data/lvm"]
CLIENTS = {
    "postgresql": "runuser -u postgres -- psql -qAtX postgres",
    "mariadb": "mariadb --batch --skip-column-names --unbuffered writers",
}


def tell(name: str, number: int) -> None:
    """Note in memory that a number is written."""
    new = Path(f"/run/writers/{name}.new")
    new.write_text(f"{number}\n")
    new.replace(f"/run/writers/{name}")


def files() -> None:
    """Numbers into files, in place."""
    sure = [os.open(f"{place}/sure", os.O_WRONLY | os.O_CREAT) for place in PLACES]
    lazy = [os.open(f"{place}/lazy", os.O_WRONLY | os.O_CREAT) for place in PLACES]
    number = 0
    while True:
        number += 1
        for descriptor in sure:
            os.pwrite(descriptor, b"%012d" % number, 0)
            os.fsync(descriptor)
        tell("sure", number)
        for descriptor in lazy:
            os.pwrite(descriptor, b"%012d" % number, 0)
        tell("lazy", number)
        time.sleep(PAUSE_S)


def rows(name: str) -> None:
    """Numbers into a table."""
    client = subprocess.Popen(CLIENTS[name].split(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert client.stdin is not None
    assert client.stdout is not None
    number = 0
    while True:
        number += 1
        client.stdin.write(f"INSERT INTO numbers VALUES ({number}); SELECT {number};\n")
        client.stdin.flush()
        if client.stdout.readline() != f"{number}\n":
            sys.exit(f"row {number} was not inserted")
        tell(name, number)
        time.sleep(PAUSE_S)


if sys.argv[1] == "files":
    files()
else:
    rows(sys.argv[1])
