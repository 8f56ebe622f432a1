"""How do the QEMU programs we start end when we do?

A ``qemu-nbd`` or ``qemu-img`` that outlived us would keep locks on images which the restarted service
needs. The kernel ends such a child by ``PR_SET_PDEATHSIG``, with two traps that this module covers: the
signal comes when the *thread* that made the child ends, so that one thread, which lives as long as the
process, makes all of them; and a parent that dies before the child has asked for the signal is missed, so
that the child looks at its parent afterwards.
"""

import os
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO

_MOTHER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="qemu-programs")

#: ``LISTEN_PID`` completes systemd's socket activation: it must be the child's own process id.
_SCRIPT = 'test "$PPID" = "$0" || exit 1; LISTEN_PID=$$; export LISTEN_PID; exec "$@"'


def start(
    command: Sequence[str], *, stdout: int, stderr: int | IO[bytes], listen: int | None = None
) -> "subprocess.Popen[bytes]":
    """Start ``command``; it is killed when this process ends, however it ends.

    ``listen`` is a listening socket to hand over by socket activation (it becomes descriptor 3).
    """
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    script = _SCRIPT
    keep: tuple[int, ...] = ()
    if listen is not None:
        environment["LISTEN_FDS"] = "1"
        keep = (listen,)
        if listen != 3:
            script = f"exec 3<&{listen} {listen}<&-; " + script
    wrapped = ["setpriv", "--pdeathsig", "KILL", "--", "/bin/sh", "-c", script, str(os.getpid()), *command]
    return _MOTHER.submit(
        subprocess.Popen,
        wrapped,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env=environment,
        pass_fds=keep,
    ).result()


def end(process: "subprocess.Popen[bytes]", patience: float) -> int:
    """Wait ``patience`` seconds for a process to end by itself, then kill it; return its exit status."""
    try:
        return process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
