"""Breaking the socket between QEMU and libvirt that carries the guest agent, as if QEMU had closed it."""

import ctypes
import os
import socket
from pathlib import Path
from xml.etree import ElementTree

import libvirt

_PIDFD_GETFD = 438


def break_agent_socket(domain: libvirt.virDomain) -> bool:
    """Shut QEMU's end down; false when nobody is connected.

    libvirt connects again when the agent restarts.
    """
    source = ElementTree.fromstring(domain.XMLDesc()).find("./devices/channel/source")
    if source is None:
        raise ValueError(f"{domain.name()} has no agent channel")
    connected = _connected_inodes(source.attrib["path"])
    pid = _qemu_of(domain)
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        if descriptor.readlink().name in {f"socket:[{inode}]" for inode in connected}:
            _shut_down(pid, int(descriptor.name))
            return True
    return False


def _connected_inodes(path: str) -> set[str]:
    lines = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    return {fields[6] for fields in lines if fields[7:] == [path] and fields[5] == "03"}


def _qemu_of(domain: libvirt.virDomain) -> int:
    return int(Path(f"/run/libvirt/qemu/{domain.name()}.pid").read_text())


def _shut_down(pid: int, descriptor: int) -> None:
    process = os.pidfd_open(pid)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        copy = libc.syscall(_PIDFD_GETFD, process, descriptor, 0)
        if copy < 0:
            raise OSError(ctypes.get_errno(), "pidfd_getfd")
        with socket.socket(fileno=copy) as ours:
            ours.shutdown(socket.SHUT_RDWR)
    finally:
        os.close(process)
