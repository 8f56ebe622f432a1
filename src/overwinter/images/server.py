"""A private NBD server for one chain: ``qemu-nbd`` that talks to nobody but us.

All connections are dialled before the program starts and wait in the listening socket that it inherits
(socket activation). So nothing polls for a socket to appear, the socket's name is gone before QEMU runs,
and the program, which serves until its last client leaves, cannot outlive us.
"""

import json
import socket
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

import nbd

from overwinter.images import process
from overwinter.images.spec import chain_node
from overwinter.model.errors import ImageError
from overwinter.model.vm import ImageLayer

#: Threads that can transfer at once; another one waits. More did not move more on two cores.
CONNECTIONS = 4

#: Bytes of one NBD request, and how many a connection keeps under way (both measured).
REQUEST_SIZE = 1 << 20
REQUESTS_AHEAD = 4

#: Seconds without any progress after which the storage below is given up.
STALL_TIMEOUT = 300.0

ALLOCATION = "base:allocation"
DEPTH = "qemu:allocation-depth"

#: Starts one request on a connection and returns its cookie: (connection, buffer, offset) -> cookie.
Request = Callable[["nbd.NBD", memoryview, int], int]


class NbdServer:
    """One running ``qemu-nbd`` and our connections to it; its methods may be called from many threads.

    Raises ImageError with QEMU's words when the images cannot be opened: a broken header, a file that another
    process writes to, an encrypted image.
    """

    def __init__(self, chain: Sequence[ImageLayer]) -> None:
        self._name = chain[0].path
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the server
        mode = ["--read-only", "--allocation-depth", f"--shared={CONNECTIONS}"]
        command = ["qemu-nbd", *mode, "json:" + json.dumps(chain_node(chain))]
        with _listener() as (listener, dial):
            dialled = [dial() for _ in range(CONNECTIONS)]
            self._process = process.start(
                command, stdout=subprocess.DEVNULL, stderr=self._log, listener=listener.fileno()
            )
        self._all: list[nbd.NBD] = []
        self._idle: SimpleQueue[nbd.NBD] = SimpleQueue()
        try:
            for connection in dialled:
                self._all.append(self._handshake(connection))
                self._idle.put(self._all[-1])
            self.size: int = self._all[0].get_size()
        except BaseException:
            for connection in dialled:
                connection.close()
            self.kill()
            raise

    def _handshake(self, connection: socket.socket) -> "nbd.NBD":
        handle = nbd.NBD()
        handle.set_pread_initialize(False)  # a failed read raises; nobody looks at the buffer then
        handle.add_meta_context(ALLOCATION)
        handle.add_meta_context(DEPTH)
        try:
            handle.aio_connect_socket(connection.detach())
            while handle.aio_is_connecting():
                self._poll(handle)
            if handle.aio_is_ready():
                return handle
        except nbd.Error:
            pass  # QEMU's own words, collected below, tell more
        raise ImageError(f"{self._name} cannot be opened: {self._last_words()}")

    def _last_words(self) -> str:
        status = process.end(self._process, patience=5)
        self._log.seek(0)
        words = self._log.read().decode(errors="replace").strip()
        return words or f"qemu-nbd ended with status {status}"

    # --- transfers ---

    def transfer(self, what: str, request: Request, offset: int, buffer: memoryview) -> None:
        """Move ``buffer`` to or from ``offset`` in pieces; ``what`` names the doing in an ImageError."""
        with self._connection() as connection:
            under_way: deque[tuple[int, int]] = deque()
            failure: ImageError | None = None
            for start in range(0, len(buffer), REQUEST_SIZE):
                if len(under_way) == REQUESTS_AHEAD:
                    failure = self._settle(connection, what, *under_way.popleft()) or failure
                if failure:
                    break
                # Not as an nbd.Buffer: libnbd 1.14 never lets go of the content of one.
                piece = buffer[start : start + REQUEST_SIZE]
                try:
                    under_way.append((offset + start, request(connection, piece, offset + start)))
                except nbd.Error as error:
                    failure = self._failed(what, offset + start, error)
            # Whatever happened, no request may still touch the caller's buffer when we return.
            for at, cookie in under_way:
                failure = self._settle(connection, what, at, cookie) or failure
        if failure:
            raise failure

    def block_status(self, offset: int, length: int) -> dict[str, list[int]]:
        """Runs of (length, status) from ``offset``, flat, by context; a context may stop early.

        ``length`` must be below 4 GiB: QEMU 7.2 speaks 32-bit block status.
        """
        runs: dict[str, list[int]] = {}

        def collect(context: str, _offset: int, entries: list[int], _error: object) -> int:
            runs[context] = entries
            return 0

        with self._connection() as connection:
            try:
                cookie = connection.aio_block_status(length, offset, collect)
            except nbd.Error as error:
                raise self._failed("reading the allocation of", offset, error) from error
            failure = self._settle(connection, "reading the allocation of", offset, cookie)
        if failure:
            raise failure
        if not {ALLOCATION, DEPTH} <= runs.keys():
            raise ImageError(f"{self._name}: this qemu-nbd does not report {ALLOCATION} and {DEPTH}")
        return runs

    @contextmanager
    def _connection(self) -> Iterator["nbd.NBD"]:
        connection = self._idle.get()
        try:
            yield connection
        finally:
            self._idle.put(connection)

    def _settle(self, connection: "nbd.NBD", what: str, offset: int, cookie: int) -> ImageError | None:
        try:
            while not connection.aio_command_completed(cookie):
                self._poll(connection)
        except nbd.Error as error:
            return self._failed(what, offset, error)
        return None

    def _poll(self, connection: "nbd.NBD") -> None:
        if connection.poll(int(STALL_TIMEOUT * 1000)) == 0:
            self._process.kill()  # the connections break then, which ends every wait

    def _failed(self, what: str, offset: int, error: "nbd.Error") -> ImageError:
        return ImageError(f"{what} {self._name} at offset {offset} failed: {error.string}")

    # --- the end ---

    def close(self, patience: float = 10.0) -> int:
        """Leave the server, which ends it; return its exit status (killed after ``patience`` seconds)."""
        for connection in self._all:
            if connection.aio_is_ready():
                connection.aio_disconnect()
        self._all.clear()
        self._idle = SimpleQueue()  # the last references to the handles: the library closes their sockets
        status = process.end(self._process, patience)
        self._log.close()
        return status

    def kill(self) -> None:
        """End the server at once."""
        self._process.kill()
        self.close()


@contextmanager
def _listener() -> Iterator[tuple[socket.socket, Callable[[], socket.socket]]]:
    """A listening unix socket whose name exists only inside the context, and a way to dial it."""
    with (
        tempfile.TemporaryDirectory(prefix="overwinter-") as directory,
        socket.socket(socket.AF_UNIX) as listener,
    ):
        name = str(Path(directory, "nbd"))
        listener.bind(name)
        listener.listen(CONNECTIONS)

        def dial() -> socket.socket:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(name)
            return connection

        yield listener, dial
