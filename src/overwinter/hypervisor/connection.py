"""The one connection to libvirt: opened when needed, reopened when lost, its errors turned into ours.

A `Hypervisor` may be shared by all threads of a process. Do not carry it over a fork.
"""

import contextlib
import errno
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from uuid import UUID

import libvirt

from overwinter.model.errors import (
    AlreadyExists,
    GuestAgentUnavailable,
    HypervisorError,
    HypervisorUnavailable,
    NotFound,
    OverwinterError,
    VmNotInDesirableState,
)

DEFAULT_URI = "qemu:///system"

#: A libvirt daemon that does not answer this many probes, this many seconds apart, is taken for dead. The
#: daemon answers them from its main loop, so a long operation does not look like death.
KEEPALIVE_SECONDS = 5
KEEPALIVE_PROBES = 5

#: Seconds a daemon may take for a new connection. libvirt itself waits for ever for one that hangs.
CONNECT_TIMEOUT_S = 30.0

#: Name of the thread that waits for a new connection.
CONNECTING = "libvirt-connect"

_log = logging.getLogger(__name__)

_ERRORS: dict[int, type[OverwinterError]] = {
    libvirt.VIR_ERR_NO_DOMAIN: NotFound,
    libvirt.VIR_ERR_DOM_EXIST: AlreadyExists,
    libvirt.VIR_ERR_NO_CONNECT: HypervisorUnavailable,
    libvirt.VIR_ERR_RPC: HypervisorUnavailable,
    libvirt.VIR_ERR_OPERATION_INVALID: VmNotInDesirableState,
    libvirt.VIR_ERR_AGENT_UNRESPONSIVE: GuestAgentUnavailable,
    libvirt.VIR_ERR_AGENT_UNSYNCED: GuestAgentUnavailable,
}


#: How connecting to a socket fails that has no listener.
_NOBODY_THERE = (errno.ENOENT, errno.ECONNREFUSED)


def translate(error: libvirt.libvirtError) -> OverwinterError:
    """Our error for one of libvirt's, with libvirt's words."""
    words = error.get_error_message() or str(error)
    if error.get_error_domain() == libvirt.VIR_FROM_RPC:
        message = f"libvirt cannot be reached: {words}. Is its daemon running?"
        return HypervisorUnavailable(message, cause=_cause(error))
    kind = _ERRORS.get(error.get_error_code(), HypervisorError)
    return kind(f"libvirt: {words}")


def _cause(error: libvirt.libvirtError) -> str | None:
    """Whether libvirt's daemon is away, or there and silent; null where its library does not say."""
    if error.get_error_code() == libvirt.VIR_ERR_SYSTEM_ERROR and error.get_int1() in _NOBODY_THERE:
        return "C-LIBVIRT-DOWN"
    # The library has no code of its own for unanswered keepalives.
    return "C-LIBVIRT-HUNG" if "keepalive" in (error.get_error_message() or "") else None


class Hypervisor:
    """A libvirt host. Calls go through `session` or `domain`, which see to the connection and to errors."""

    def __init__(self, uri: str = DEFAULT_URI) -> None:
        self.uri = uri
        self._lock = threading.Lock()
        self._connection: libvirt.virConnect | None = None
        self._attempt: Future[libvirt.virConnect] | None = None

    @contextlib.contextmanager
    def session(self) -> Iterator[libvirt.virConnect]:
        """A working connection; libvirt's errors within the block become errors of the model.

        Raises HypervisorUnavailable when libvirt cannot be reached or goes away in the middle. In the latter
        case it is unknown whether the last call took effect: look before repeating it.
        """
        try:
            yield self._working_connection()
        except libvirt.libvirtError as error:
            raise translate(error) from error

    @contextlib.contextmanager
    def domain(self, name_or_uuid: str | UUID) -> Iterator[libvirt.virDomain]:
        """Like `session`, with the domain of that UUID or name. Raises NotFound when there is none."""
        with self.session() as connection:
            yield _find(connection, name_or_uuid)

    def close(self) -> None:
        """Close the connection; the next call opens it again."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(libvirt.libvirtError):
                connection.close()

    def _working_connection(self) -> libvirt.virConnect:
        with self._lock:
            if self._connection is not None and not answers(self._connection):
                _log.warning("connection to libvirt at %s was lost, opening a new one", self.uri)
                self._connection = None
            if self._connection is not None:
                return self._connection
            if self._attempt is None:
                self._attempt = _connect(self.uri)
            attempt = self._attempt
        try:
            connection = attempt.result(CONNECT_TIMEOUT_S)
        except TimeoutError as error:
            raise HypervisorUnavailable(
                f"libvirt at {self.uri} does not answer within {CONNECT_TIMEOUT_S:.0f} s. Its daemon may "
                "hang: restart it; VMs go on running.",
                cause="C-LIBVIRT-HUNG",
            ) from error
        except libvirt.libvirtError:
            self._settle(attempt, None)
            raise
        self._settle(attempt, connection)
        return connection

    def _settle(self, attempt: Future[libvirt.virConnect], connection: libvirt.virConnect | None) -> None:
        """Everybody who waited comes here; the first one decides."""
        with self._lock:
            if self._attempt is attempt:
                self._attempt, self._connection = None, connection


def _connect(uri: str) -> Future[libvirt.virConnect]:
    """A connection in the making; in a thread, because nothing ends the wait for a daemon that hangs."""
    attempt: Future[libvirt.virConnect] = Future()

    def connect() -> None:
        try:
            connection = libvirt.open(uri)
            connection.setKeepAlive(KEEPALIVE_SECONDS, KEEPALIVE_PROBES)
        except libvirt.libvirtError as error:
            attempt.set_exception(error)
        else:
            attempt.set_result(connection)

    _prepare_library()
    threading.Thread(target=connect, name=CONNECTING, daemon=True).start()
    return attempt


def answers(connection: libvirt.virConnect) -> bool:
    """Whether libvirt still answers on a connection; asks it."""
    try:
        connection.getLibVersion()
    except libvirt.libvirtError:
        return False
    return True


def _find(connection: libvirt.virConnect, name_or_uuid: str | UUID) -> libvirt.virDomain:
    try:
        uuid = UUID(str(name_or_uuid))
    except ValueError:
        return connection.lookupByName(str(name_or_uuid))
    try:
        return connection.lookupByUUID(uuid.bytes)
    except libvirt.libvirtError as error:
        # A domain may be *named* like a UUID; its name counts only when no domain has that identity.
        if isinstance(name_or_uuid, UUID) or error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        return connection.lookupByName(name_or_uuid)


def _once(action: Callable[[], None]) -> Callable[[], None]:
    lock = threading.Lock()
    done = False

    def run() -> None:
        nonlocal done
        with lock:
            if not done:
                action()
                done = True

    return run


@_once
def _prepare_library() -> None:
    """Process-wide: no error texts on stderr (exceptions carry them), and an event loop for keepalives."""
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    libvirt.virEventRegisterDefaultImpl()
    threading.Thread(target=_run_events, name="libvirt-events", daemon=True).start()


def _run_events() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()
