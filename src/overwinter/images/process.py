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

_STAY = 'test "$PPID" = "$0" || exit 1; '

#: systemd's socket activation: descriptor 3, and the child's own process id as proof that it is meant.
_LISTEN = "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$; export LISTEN_FDS LISTEN_PID; "


def start(
    command: Sequence[str], *, stdout: int, stderr: int | IO[bytes], listener: int | None = None
) -> "subprocess.Popen[bytes]":
    """Start ``command``; it is killed when this process ends, however it ends.

    ``listener`` is a listening socket to hand over by socket activation.
    """
    script = _STAY + (_LISTEN if listener is not None else "") + 'exec "$@"'
    return _MOTHER.submit(
        subprocess.Popen,
        ["setpriv", "--pdeathsig", "KILL", "--", "/bin/bash", "-c", script, str(os.getpid()), *command],
        stdin=subprocess.DEVNULL if listener is None else listener,
        stdout=stdout,
        stderr=stderr,
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
    ).result()


def end(process: "subprocess.Popen[bytes]", patience: float) -> int:
    """Wait ``patience`` seconds for a process to end by itself, then kill it; return its exit status."""
    try:
        return process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
