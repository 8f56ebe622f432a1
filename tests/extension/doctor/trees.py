"""Prepared machines: directory trees that look like the root of an Azure VM or of a KVM guest."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from overwinter.extension.doctor.facts.snapshot import Facts, collect
from overwinter.extension.doctor.machine import Machine

#: The time at which machines are examined.
NOW = 1_795_300_000.0

KERNEL = "6.1.0-18-amd64"
HOST = "127.0.0.1"
AGENT_UNIT = "lib/systemd/system/walinuxagent.service"
QEMU_UNIT = "lib/systemd/system/qemu-guest-agent.service"
CUSTOM = "Microsoft.Azure.Extensions.CustomScript-2.1.10"
SNAPSHOT = "Microsoft.Azure.RecoveryServices.VMSnapshotLinux-1.0.9184.0"
LEASE = "var/lib/dhcp/dhclient.eth0.leases"
AZURE_TAG = "7783-7084-3265-9085-8269-3286-77"

WAAGENT_CONF = """\
# Options of the agent
Extensions.Enabled=y
Provisioning.Agent=auto
HttpProxy.Host=None
"""

DHCP_LEASE = """\
lease {{
  interface "eth0";
  fixed-address 10.0.0.4;
  {option}
  expire 5 2099/01/02 03:04:05;
}}
"""

OPTION_245 = "option unknown-245 7f:0:0:1;"

MOUNTS = [
    "22 28 0:21 / /proc rw,nosuid - proc proc rw",
    "28 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro",
    "30 28 0:24 / /run rw - tmpfs tmpfs rw",
    "40 28 8:17 / /data rw - xfs /dev/sdb1 rw",
]

#: ``apt-get -s upgrade`` when all is new.
APT_NOTHING = "Reading package lists...\n0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n"


class Tree:
    """A machine's root directory, and beside it a directory with the programs it can run."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "root"
        self.programs = directory / "programs"
        self.root.mkdir()
        self.programs.mkdir()

    def write(self, path: str, content: str | bytes, mode: int = 0o644, age_s: float = 0) -> Path:
        """A file below the root."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
        place.chmod(mode)
        os.utime(place, (NOW - age_s, NOW - age_s))
        return place

    def remove(self, *paths: str) -> None:
        for path in paths:
            (self.root / path).unlink()

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace what is there for certain."""
        place = self.root / path
        content = place.read_text()
        assert old in content
        place.write_text(content.replace(old, new))

    def link(self, path: str, target: str) -> None:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to(target)

    def program(self, name: str, script: str) -> None:
        """Something the machine can run."""
        place = self.programs / name
        place.write_text("#!/bin/sh\n" + script)
        place.chmod(0o755)

    def process(self, pid: int, name: str, *arguments: str, state: str = "S") -> None:
        self.write(f"proc/{pid}/stat", f"{pid} ({name}) {state} 1 1 1 0 -1")
        self.write(f"proc/{pid}/cmdline", "\0".join(arguments) + "\0")

    def end_process(self, *pids: int) -> None:
        for pid in pids:
            for file in ("stat", "cmdline"):
                self.remove(f"proc/{pid}/{file}")
            for descriptor in (self.root / f"proc/{pid}").rglob("*"):
                if descriptor.is_symlink():
                    descriptor.unlink()
            for directory in sorted((self.root / f"proc/{pid}").rglob("*"), reverse=True):
                directory.rmdir()
            (self.root / f"proc/{pid}").rmdir()

    def extension(self, folder: str, *, code: object, **status: Any) -> None:
        """An enabled extension that says ``success``, unless ``status`` has other words."""
        own = {"status": "success", "code": code, "formattedMessage": {"lang": "en-US", "message": "Done"}}
        report = [{"version": "1.0", "timestampUTC": "2026-11-21T09:12:49Z", "status": {**own, **status}}]
        agent = {"status": "Ready", "code": 0, "message": "Plugin enabled"}
        place = f"var/lib/waagent/{folder}"
        self.write(f"{place}/config/HandlerState", "Enabled")
        self.write(f"{place}/config/HandlerStatus", json.dumps(agent))
        self.write(f"{place}/status/0.status", "[]")
        self.write(f"{place}/status/12.status", json.dumps(report))

    def own_extension(self, status: str) -> None:
        """Overwinter's, which has a folder of its own and no agent that manages it."""
        said = {"status": status, "code": 0, "formattedMessage": {"lang": "en-US", "message": "It said so"}}
        self.write("var/lib/overwinter-extension/status/0.status", json.dumps([{"status": said}]))

    def report(self, status: str = "Ready", age_s: float = 30, version: str = "2.7.3.0") -> None:
        """What the Azure agent last told its host."""
        own = {
            "version": version,
            "status": status,
            "formattedMessage": {"lang": "en-US", "message": "Guest Agent is running"},
        }
        document = {"aggregateStatus": {"guestAgentStatus": own}}
        self.write("var/lib/waagent/waagent_status.7.json", json.dumps(document), age_s=age_s)

    def machine(self) -> Machine:
        return Machine(str(self.root), [str(self.programs), "/usr/bin", "/bin"], NOW)

    def facts(self, address: str | None, ports: tuple[int, ...]) -> Facts:
        return collect(self.machine(), address, ports)


def _linux(tree: Tree) -> None:
    tree.write("etc/os-release", 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')
    tree.write("bin/sh", b"\x7fELF\x02\x01\x01" + bytes(9), mode=0o755)
    tree.write("usr/bin/python3.11", "", mode=0o755)
    tree.link("usr/bin/python3", "python3.11")
    tree.write("proc/sys/kernel/osrelease", KERNEL + "\n")
    tree.write("proc/sys/kernel/hostname", "web01\n")
    tree.write(f"lib/modules/{KERNEL}/modules.dep", "")
    tree.write("proc/self/mountinfo", "\n".join(MOUNTS) + "\n")
    tree.process(1, "systemd", "/sbin/init")
    tree.process(77, "sshd", "sshd: /usr/sbin/sshd -D")
    tree.write("proc/net/route", "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n")
    tree.write("var/lib/apt/lists/mirror_dists_bookworm_main_binary-amd64_Packages", "")
    tree.program("apt-get", f"printf '{APT_NOTHING}'\n")
    (tree.root / "var/log").mkdir()
    (tree.root / "tmp").mkdir()
    (tree.root / "run").mkdir()


def azure_vm(tree: Tree) -> None:
    """A healthy one, with two extensions; its host is at 127.0.0.1."""
    _linux(tree)
    tree.write("sys/class/dmi/id/chassis_asset_tag", AZURE_TAG + "\n")
    tree.write("sys/class/dmi/id/sys_vendor", "Microsoft Corporation\n")
    tree.write("usr/sbin/waagent", "#!/usr/bin/python3\n", mode=0o755)
    tree.write(AGENT_UNIT, "[Service]\nExecStart=/usr/sbin/waagent -daemon\nRestart=always\n")
    tree.write("etc/waagent.conf", WAAGENT_CONF)
    tree.process(700, "waagent", "/usr/bin/python3", "/usr/sbin/waagent", "-daemon")
    tree.process(701, "python3", "python3", "-u", "/usr/sbin/waagent", "-run-exthandlers")
    tree.write("var/lib/waagent/GoalState.1.xml", "<GoalState/>")
    tree.write("var/lib/waagent/WireServerEndpoint", HOST)
    tree.write("var/lib/waagent/provisioned", "")
    tree.report()
    tree.extension(CUSTOM, code=0)
    tree.extension(SNAPSHOT, code="1")
    tree.write(LEASE, DHCP_LEASE.format(option="") + DHCP_LEASE.format(option=OPTION_245))


def kvm_guest(tree: Tree) -> None:
    """A healthy one, with our own extension."""
    _linux(tree)
    tree.write("sys/class/dmi/id/sys_vendor", "QEMU\n")
    tree.write("usr/sbin/qemu-ga", b"\x7fELF", mode=0o755)
    tree.write(
        "var/lib/dpkg/status",
        "Package: qemu-guest-agent\nStatus: install ok installed\nVersion: 1:7.2+dfsg-7+deb12u18\n\n",
    )
    tree.write(QEMU_UNIT, "[Service]\nExecStart=-/usr/sbin/qemu-ga\nRestart=always\n")
    tree.write("dev/vport1p1", "")
    tree.link("dev/virtio-ports/org.qemu.guest_agent.0", "../vport1p1")
    tree.process(800, "qemu-ga", "/usr/sbin/qemu-ga")
    tree.link("proc/800/fd/3", "/dev/vport1p1")
    tree.write("var/lib/overwinter-extension/extension.pyz", b"PK")
    tree.own_extension("success")


@contextmanager
def listening(count: int) -> Iterator[tuple[int, ...]]:
    """Ports of this machine that take connections."""
    servers = [socket.create_server((HOST, 0)) for _ in range(count)]
    try:
        yield tuple(server.getsockname()[1] for server in servers)
    finally:
        for server in servers:
            server.close()


def closed_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server((HOST, 0)) as server:
        return int(server.getsockname()[1])
