"""What is on restored disks, as JSON on stdout. Runs in a Debian guest that has them as further disks.

    examine.py EXT4-DEVICE XFS-DEVICE BTRFS-DEVICE

The fourth, with LVM, is found by its volume group. Mounts them, which lets each file system recover, reads
the writers' numbers, starts the databases on the data, and checks the file systems at the end. What does not
hold raises an error.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path("/mnt/restored")
AS_POSTGRES = ("runuser", "-u", "postgres", "--")
SOCKET = "/tmp/mariadb.socket"
CLIENT = ("mariadb", "--no-defaults", f"--socket={SOCKET}", "--batch", "--skip-column-names")


def run(*command: str | Path) -> str:
    """Output of a command that must succeed."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/", check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{command}: {done.returncode}\n{done.stdout}")
    return done.stdout


def number(path: Path) -> int:
    """A writer's number; 0 when it has not been written yet."""
    return int(path.read_bytes() or 0) if path.exists() else 0


def postgresql(data: Path) -> list[int]:
    """Number of rows, and the greatest, in the restored database."""
    settings = (
        f"-c config_file=/etc/postgresql/15/main/postgresql.conf -c data_directory={data} -k /tmp -p 5499"
    )
    control: list[str | Path] = [
        *AS_POSTGRES,
        "/usr/lib/postgresql/15/bin/pg_ctl",
        "-s",
        "-w",
        "-t",
        "120",
        "-D",
        data,
    ]
    run(*control, "-l", "/tmp/postgresql.log", "-o", settings, "start")
    query = "SELECT count(*), coalesce(max(number), 0) FROM numbers"
    found = run(*AS_POSTGRES, "psql", "-qAtX", "-h", "/tmp", "-p", "5499", "-c", query, "postgres")
    run(*control, "-m", "fast", "stop")
    return [int(word) for word in found.split("|")]


def mariadb(data: Path) -> list[int]:
    """The same of the other database."""
    log = Path("/tmp/mariadb.log")
    settings = ["--skip-networking", "--innodb-log-file-size=8M", "--innodb-buffer-pool-size=16M"]
    command = [
        "mariadbd",
        "--no-defaults",
        "--user=mysql",
        f"--datadir={data}",
        f"--socket={SOCKET}",
        *settings,
    ]
    with log.open("w") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        while subprocess.run([*CLIENT, "-e", "DO 1"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
            if server.poll() is not None:
                raise SystemExit(log.read_text())
            time.sleep(0.2)
        checked = run(*CLIENT, "-e", "CHECK TABLE writers.numbers")
        if not checked.endswith("OK\n"):
            raise SystemExit(checked)
        found = run(*CLIENT, "-e", "SELECT count(*), coalesce(max(number), 0) FROM writers.numbers")
    finally:
        server.terminate()
        server.wait()
    return [int(word) for word in found.split()]


def main() -> None:
    """Look at everything."""
    devices = dict(zip(["ext4", "xfs", "btrfs"], sys.argv[1:4], strict=True))
    run("vgchange", "-q", "-ay", "data")
    devices["lvm"] = "/dev/data/data"
    unrecovered = [
        name for name in ("ext4", "lvm") if "needs_recovery" in run("dumpe2fs", "-h", devices[name])
    ]
    for name, device in devices.items():
        (ROOT / name).mkdir(parents=True, exist_ok=True)
        run("mount", device, ROOT / name)
    answer = {
        "journals_to_replay": unrecovered,
        "sure": [number(ROOT / name / "sure") for name in devices],
        "lazy": [number(ROOT / name / "lazy") for name in devices],
        "postgresql": postgresql(ROOT / "ext4/postgresql"),
        "mariadb": mariadb(ROOT / "xfs/mysql"),
    }
    for name in devices:
        run("umount", ROOT / name)
    run("e2fsck", "-f", "-n", devices["ext4"])
    run("xfs_repair", "-n", devices["xfs"])
    run("btrfs", "check", "--readonly", devices["btrfs"])
    run("e2fsck", "-f", "-n", devices["lvm"])
    run("vgchange", "-q", "-an", "data")
    print(json.dumps(answer))


main()
