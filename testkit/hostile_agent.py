"""An agent that is not to be trusted: whatever a test wants it to say, behind libvirt's real agent client.

A running tiny guest gets a second virtio channel. In the guest its own agent is ended, and a relay carries
bytes between the agent's channel and the second one, whose other end a test holds on the host. So what the
test says comes out of a real guest, through QEMU, to libvirt.
"""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from xml.etree import ElementTree

import libvirt

from testkit.console import console_run
from testkit.domains import TinyGuest
from testkit.waiting import wait_until

_CHANNEL = "org.overwinter.test.0"

#: Opens both ports (a port has one user at a time) and copies in both directions, until the copying programs
#: are killed; then both are opened anew, and libvirt sees an agent that was restarted.
_RELAY = """
port() { for p in /sys/class/virtio-ports/*; do [ "$(cat $p/name)" = "$1" ] && echo /dev/${p##*/}; done; }
agent=$(port org.qemu.guest_agent.0) test=$(port org.overwinter.test.0)
copy() {
    exec 3<>$agent 4<>$test
    # A port whose host side is closed reads as at its end; libvirt opens its side a moment later.
    (while :; do cat <&3 >&4; sleep 0.05; done) &
    cat <&4 >&3
    kill $!
    killall -9 cat
}
while pidof qemu-ga; do sleep 0.1; done
until [ -e /run/relay-ends ]; do (copy); sleep 0.2; done
"""

_BEGIN = (
    "rm -f /run/relay-ends; touch /run/no-agent; killall -9 qemu-ga; (setsid sh /run/relay >/dev/null 2>&1 &)"
)
_END = "touch /run/relay-ends; killall -9 cat; rm -f /run/no-agent"

#: What the agent says to one command; it may send any bytes, or nothing.
Say = Callable[["HostileAgent", dict[str, object]], None]


def _nothing(_agent: "HostileAgent", _command: dict[str, object]) -> None:
    return None


class HostileAgent:
    """The agent of a guest as a test plays it.

    It synchronises properly, as libvirt wants before any command, unless ``on_sync`` says otherwise; every
    other command is given to ``on_command``.
    """

    def __init__(self, guest: TinyGuest) -> None:
        self._guest = guest
        self.on_command: Say = _nothing
        self.on_sync: Say | None = None
        self.commands: list[str] = []
        self._connect()

    def restart(self) -> None:
        """Be an agent that was started anew: what libvirt thought of the one before is forgotten."""
        self.end()
        self._connect()
        # libvirt 9.0 may take what is left of the former words for those of the new one, and give up.
        wait_until(self._starts_well, "the relay does not stand", limit=60)

    def await_libvirt(self) -> bool:
        """Whether what libvirt asks is heard here within a few seconds."""
        self.commands.clear()
        with suppress(TimeoutError):
            wait_until(lambda: self._guest.agent.answers or bool(self.commands), "", limit=4)
        return bool(self.commands)

    def _starts_well(self) -> bool:
        console_run(self._guest.domain, "killall -9 cat", limit=30)
        return self.await_libvirt()

    def _connect(self) -> None:
        self._ended = threading.Event()
        self._port = socket.socket(socket.AF_UNIX)
        self._port.connect(_path(self._guest))
        self._thread = threading.Thread(target=self._serve, args=(self._port,), daemon=True)
        self._thread.start()

    def send(self, content: bytes) -> None:
        """Say something, sensible or not."""
        with suppress(OSError):
            self._port.sendall(content)

    def answer(self, value: object) -> None:
        """Say it as the result of a command."""
        self.send(json.dumps({"return": value}).encode() + b"\n")

    def flood(self, piece: bytes, seconds: float) -> None:
        """Say it again and again."""
        until = time.monotonic() + seconds
        with suppress(OSError):
            while time.monotonic() < until and not self._ended.is_set():
                self._port.sendall(piece)

    def hang_up(self) -> None:
        """Close the channel, as an agent that dies; `restart` brings another one."""
        with suppress(OSError):
            self._port.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Fall silent for good."""
        self._ended.set()
        self.hang_up()
        self._thread.join()
        self._port.close()

    def _serve(self, port: socket.socket) -> None:
        heard = b""
        while not self._ended.is_set():
            try:
                piece = port.recv(65536)
            except OSError:
                return
            if not piece:
                return
            heard += piece
            while b"\n" in heard:
                line, _, heard = heard.partition(b"\n")
                self._hear(line)

    def _hear(self, line: bytes) -> None:
        # libvirt may put 0xFF before a command, to reset the agent's parser.
        text = line.replace(b"\xff", b"").strip()
        try:
            command = json.loads(text)
        except ValueError:
            return
        name = str(command.get("execute"))
        self.commands.append(name)
        if name in ("guest-sync", "guest-sync-delimited"):
            if self.on_sync is not None:
                self.on_sync(self, command)
                return
            delimiter = b"\xff" if name.endswith("delimited") else b""
            self.send(delimiter + json.dumps({"return": command["arguments"]["id"]}).encode() + b"\n")
            return
        self.on_command(self, command)


@contextmanager
def hostile_agent(guest: TinyGuest) -> Iterator[HostileAgent]:
    """Play the agent of a running guest, whose own comes back at the end."""
    device = f"<channel type='unix'><target type='virtio' name='{_CHANNEL}'/></channel>"
    guest.domain.attachDeviceFlags(device, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    agent = HostileAgent(guest)
    try:
        guest.agent.write_file("/run/relay", _RELAY.encode())
        console_run(guest.domain, _BEGIN, limit=30)
        wait_until(agent.await_libvirt, "the relay does not stand")
        yield agent
    finally:
        console_run(guest.domain, _END, limit=30)
        agent.end()
        guest.domain.detachDeviceFlags(_xml(guest), libvirt.VIR_DOMAIN_AFFECT_LIVE)
        guest.wait_ready()


def _channel(guest: TinyGuest) -> ElementTree.Element:
    for channel in ElementTree.fromstring(guest.domain.XMLDesc()).iterfind("./devices/channel"):
        target = channel.find("target")
        if target is not None and target.get("name") == _CHANNEL:
            return channel
    raise LookupError(_CHANNEL)


def _path(guest: TinyGuest) -> str:
    source = _channel(guest).find("source")
    assert source is not None
    return source.attrib["path"]


def _xml(guest: TinyGuest) -> str:
    return ElementTree.tostring(_channel(guest), encoding="unicode")
