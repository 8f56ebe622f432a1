"""A proxy on loopback that harms single HTTP exchanges: requests and answers cut, held back or lost.

It passes bytes on and knows of HTTP only how a request begins. Clients of this kit send the next request of a
connection after the answer to the last one, so whatever the server sends belongs to the request before.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from testkit.servers import LOOPBACK

_PIECE = 64 * 1024


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Fault:
    """What happens to one exchange whose request begins with ``method``.

    ``request_bytes``, ``answer_bytes``: only so many bytes are passed on before the connection is cut; null
    for all. ``instead``: an answer given without asking the server. ``first``: called before the cut, or
    before the answer where nothing is cut.
    """

    method: str
    request_bytes: int | None = None
    answer_bytes: int | None = None
    instead: bytes | None = None
    first: Callable[[], None] = _nothing


class FaultProxy:
    """A running proxy; a fault that is set waits for its request and is used once."""

    def __init__(self, listener: socket.socket, target: int) -> None:
        self.port: int = listener.getsockname()[1]
        self._listener = listener
        self._target = target
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._open: set[socket.socket] = set()

    def set(self, *faults: Fault) -> None:
        """Harm the next requests of these methods, in this order."""
        with self._lock:
            self._faults.extend(faults)

    @property
    def used_up(self) -> bool:
        """Whether every fault that was set has found its request."""
        with self._lock:
            return not self._faults

    def serve(self) -> None:
        """Take connections until the listener is closed."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._exchange, args=(client,), daemon=True).start()

    def close(self) -> None:
        """Cut everything."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def _exchange(self, client: socket.socket) -> None:
        """One connection of a client."""
        with client, suppress(OSError), socket.create_connection((LOOPBACK, self._target)) as server:
            with self._lock:
                self._open |= {client, server}
            connection = _Connection(client, server, self._take)
            answers = threading.Thread(target=connection.pass_answers, daemon=True)
            answers.start()
            connection.pass_requests()
            answers.join()
            with self._lock:
                self._open -= {client, server}

    def _take(self, piece: bytes) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if piece.startswith(f"{fault.method} ".encode()):
                    self._faults.remove(fault)
                    return fault
        return None


class _Connection:
    """Both directions of one connection; a cut ends both."""

    def __init__(
        self, client: socket.socket, server: socket.socket, take: Callable[[bytes], Fault | None]
    ) -> None:
        self._client = client
        self._server = server
        self._take = take
        self._fault: Fault | None = None

    def pass_requests(self) -> None:
        with self._cutting():
            left: int | None = None
            while piece := self._client.recv(_PIECE):
                fault = self._take(piece)
                if fault is not None:
                    self._fault, left = fault, fault.request_bytes
                    if fault.instead is not None:
                        self._client.sendall(fault.instead)
                        return
                self._server.sendall(piece[:left])
                if left is not None:
                    left -= len(piece)
                    if left <= 0:
                        self._act()
                        return

    def pass_answers(self) -> None:
        with self._cutting():
            while piece := self._server.recv(_PIECE):
                fault = self._fault
                if fault is not None:
                    self._act()
                    if fault.answer_bytes is not None:
                        self._client.sendall(piece[: fault.answer_bytes])
                        return
                self._client.sendall(piece)

    def _act(self) -> None:
        fault, self._fault = self._fault, None
        if fault is not None:
            fault.first()

    @contextmanager
    def _cutting(self) -> Iterator[None]:
        try:
            with suppress(OSError):
                yield
        finally:
            for each in (self._client, self._server):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)


@contextmanager
def fault_proxy(target: int) -> Iterator[FaultProxy]:
    """A proxy in front of a port of this machine."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        proxy = FaultProxy(listener, target)
        threading.Thread(target=proxy.serve, daemon=True).start()
        try:
            yield proxy
        finally:
            proxy.close()
