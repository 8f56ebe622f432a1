"""A server's Unix socket passed on until it is cut: to clients the server goes away and comes back."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PIECE = 64 * 1024


class SocketProxy:
    """Passes connections to ``path`` on to ``server``, both Unix sockets."""

    def __init__(self, path: Path, server: Path) -> None:
        self.path = path
        self._server = server
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self._flows = threading.Event()
        self._flows.set()

    def connect(self) -> None:
        """Take connections, from now on or again."""
        listener = socket.socket(socket.AF_UNIX)
        self.path.unlink(missing_ok=True)
        listener.bind(str(self.path))
        self.path.chmod(0o666)
        listener.listen()
        self._listener = listener
        self._flows.set()
        threading.Thread(target=self._serve, args=(listener,), daemon=True).start()

    def cut(self) -> None:
        """End every connection and refuse new ones."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._lock:
            cut, self._open = self._open, set()
        for each in cut:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def stall(self) -> None:
        """Pass nothing on any more, as a server that hangs; until `connect`."""
        self._flows.clear()

    def _serve(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._join, args=(client,), daemon=True).start()

    def _join(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server, suppress(OSError):
            server.connect(str(self._server))
            pair = {client, server}
            with self._lock:
                if self._listener is None:
                    return
                self._open |= pair
            back = threading.Thread(target=self._pass_on, args=(server, client), daemon=True)
            back.start()
            self._pass_on(client, server)
            back.join()
            with self._lock:
                self._open -= pair

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(_PIECE):
                self._flows.wait()
                target.sendall(piece)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextmanager
def socket_proxy(path: Path, server: Path) -> Iterator[SocketProxy]:
    """A proxy that takes connections, cut at the end."""
    proxy = SocketProxy(path, server)
    proxy.connect()
    try:
        yield proxy
    finally:
        proxy.cut()
