"""The machine that is looked at: its files below a root directory, and its programs; the only way to both.

Everything is bounded: files in size, programs in time and in what they print. With another root than ``/`` a
copy of a machine is looked at from outside: symbolic links are followed within it, no program of it is run.

Python 3.6, standard library only.
"""

import errno
import fnmatch
import os
import signal
import stat
import subprocess
import sys
import threading
from typing import List, NamedTuple, Optional, Sequence

#: Where programs are looked for, unless a copy of a machine is looked at.
PROGRAM_DIRECTORIES = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")

#: No file that is read whole is larger.
MOST_BYTES = 1024 * 1024

#: No directory that is listed has more entries.
MOST_NAMES = 65536

_MOST_LINKS = 40


class TooLarge(OSError):
    """A file, a directory or an output is larger than anything sound would be."""

    def __init__(self, path: str) -> None:
        super().__init__(errno.EFBIG, os.strerror(errno.EFBIG), path)


class Ran(NamedTuple):
    """A program that has ended."""

    status: int
    output: str


class Machine:
    """Reads files and runs programs of one machine. Every method raises OSError when it may not or cannot.

    ``now`` is the time of the examination in seconds since 1970.
    """

    def __init__(self, root: str, programs: Sequence[str], now: float) -> None:
        self.root = root.rstrip("/") or "/"
        self.programs = tuple(programs)
        self.now = now

    @property
    def foreign(self) -> bool:
        """Whether a copy is looked at from outside."""
        return self.root != "/"

    def path(self, path: str) -> str:
        """Where an absolute path of the machine lies for us, symbolic links followed within the machine."""
        if not self.foreign:
            return path
        done: List[str] = []
        todo = [part for part in reversed(path.split("/")) if part]
        links = 0
        while todo:
            part = todo.pop()
            if part in (".", ".."):
                del done[len(done) - (part == "..") :]
                continue
            here = os.path.join(self.root, *([*done, part]))
            if not os.path.islink(here):
                done.append(part)
                continue
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            target = os.readlink(here)
            if target.startswith("/"):
                done = []
            todo.extend(piece for piece in reversed(target.split("/")) if piece)
        return os.path.join(self.root, *done)

    def read_bytes(self, path: str, most_bytes: int = MOST_BYTES) -> Optional[bytes]:
        """What is in a regular file, or null when there is none."""
        try:
            descriptor = os.open(self.path(path), os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        except (FileNotFoundError, NotADirectoryError):
            return None
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            content = file.read(most_bytes + 1)
        if len(content) > most_bytes:
            raise TooLarge(path)
        return content

    def read_text(self, path: str, most_bytes: int = MOST_BYTES) -> Optional[str]:
        """What is in a text file, or null when there is none."""
        content = self.read_bytes(path, most_bytes)
        return None if content is None else content.decode("utf-8", errors="replace")

    def names(self, directory: str, pattern: str = "*") -> List[str]:
        """What is in a directory, sorted; nothing when there is none."""
        try:
            names = []
            with os.scandir(self.path(directory)) as entries:
                for entry in entries:
                    names.append(entry.name)
                    if len(names) > MOST_NAMES:
                        raise TooLarge(directory)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(fnmatch.filter(names, pattern))

    def exists(self, path: str) -> bool:
        """Whether something is there that can be reached."""
        return self.status(path) is not None

    def status(self, path: str) -> Optional[os.stat_result]:
        """Size, times and owner, or null when nothing is there."""
        try:
            return os.stat(self.path(path))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def link(self, path: str) -> Optional[str]:
        """Where a symbolic link points, or null when there is none."""
        directory, name = os.path.split(path)
        try:
            return os.readlink(os.path.join(self.path(directory), name))
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.EINVAL:
                return None
            raise

    def run(self, name: str, *arguments: str, limit_s: float = 5.0) -> Optional[Ran]:
        """Run one of the machine's programs; null when it has none of that name.

        Raises TimeoutError when it does not end in time, and TooLarge; it is killed then, with all it
        started.
        """
        program = next((p for p in (os.path.join(d, name) for d in self.programs) if os.path.isfile(p)), None)
        if program is None:
            return None
        process = subprocess.Popen(
            [program, *list(arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(os.environ, LC_ALL="C", PATH=os.pathsep.join(self.programs)),
            start_new_session=True,
        )
        late = threading.Event()

        def stop() -> None:
            late.set()
            _kill(process)

        timer = threading.Timer(limit_s, stop)
        timer.daemon = True
        timer.start()
        with process:
            assert process.stdout is not None
            output = process.stdout.read(MOST_BYTES + 1)
            if len(output) > MOST_BYTES:
                _kill(process)
            status = process.wait()
        timer.cancel()
        if late.is_set():
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT), name)
        if len(output) > MOST_BYTES:
            raise TooLarge(name)
        return Ran(status, output.decode("utf-8", errors="replace"))


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """End a program with all it started; it has not been waited for, so its number is its own."""
    if sys.platform == "win32":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)
