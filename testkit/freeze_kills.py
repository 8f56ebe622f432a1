"""Who is killed in a freeze window: everybody who has a part in it, alone and together."""

import signal
import subprocess
from dataclasses import dataclass
from uuid import UUID

from overwinter.guest.thaw import ensure_thawed
from overwinter.hypervisor.connection import Hypervisor
from testkit.agent_socket import break_agent_socket
from testkit.daemons import LIBVIRTD
from testkit.freeze_scene import FreezeScene, Instant, Kill
from testkit.freeze_service import KillService

_REPAIR_S = 60.0


@dataclass(frozen=True)
class KillProcesses:
    """Processes: the extension's keeper (0) and the one that freezes (1), the guest agent, the service."""

    name: str
    extension: tuple[int, ...] = ()
    agent: bool = False
    service: bool = False
    by_proxy: bool = False

    def prepare(self, scene: FreezeScene, instant: Instant) -> None:
        """Order what dies in the guest. Stopped first, or the second still thaws when the first is gone."""
        pids = " ".join(("$keeper", "$freezer")[number] for number in self.extension)
        lines = [f"kill -STOP {pids}; kill -9 {pids}"] if pids else []
        lines += ["killall -9 qemu-ga"] if self.agent else []
        if lines:
            scene.order(instant, "; ".join(lines))

    def strike(self, scene: FreezeScene, service: "subprocess.Popen[str]") -> None:
        """Kill the service."""
        if self.service:
            service.kill()

    def repair(self, scene: FreezeScene) -> None:
        """The service's next start thaws, as it does for every snapshot that was interrupted."""
        if self.service:
            hypervisor = Hypervisor()
            ensure_thawed(hypervisor, UUID(scene.guest.domain.UUIDString()), _REPAIR_S)
            hypervisor.close()
        scene.guest.wait_ready()


@dataclass(frozen=True)
class CutLibvirt:
    """libvirt goes away from service and guard, and comes back when the limit is over."""

    name: str = "libvirt"
    by_proxy: bool = True

    def prepare(self, scene: FreezeScene, instant: Instant) -> None:
        """Nothing happens in the guest."""

    def strike(self, scene: FreezeScene, service: "subprocess.Popen[str]") -> None:
        """End all its connections."""
        scene.libvirt.cut()

    def repair(self, scene: FreezeScene) -> None:
        """Take connections again."""
        scene.libvirt.connect()


@dataclass(frozen=True)
class KillLibvirtd:
    """The daemon itself is killed, and started again at once or when the limit is over."""

    name: str
    at_once: bool
    by_proxy: bool = False

    def prepare(self, scene: FreezeScene, instant: Instant) -> None:
        """Nothing happens in the guest."""

    def strike(self, scene: FreezeScene, service: "subprocess.Popen[str]") -> None:
        """Kill it."""
        LIBVIRTD.end(signal.SIGKILL)
        if self.at_once:
            LIBVIRTD.start()

    def repair(self, scene: FreezeScene) -> None:
        """Have it run, and the scene know it."""
        if not self.at_once:
            LIBVIRTD.start()
        scene.reconnect()
        scene.guest.wait_ready()


@dataclass(frozen=True)
class BreakSocket:
    """QEMU's end of the agent's socket is closed: nobody reaches the agent until it is restarted."""

    name: str = "agent socket"
    by_proxy: bool = False

    def prepare(self, scene: FreezeScene, instant: Instant) -> None:
        """Nothing happens in the guest."""

    def strike(self, scene: FreezeScene, service: "subprocess.Popen[str]") -> None:
        """Close it."""
        break_agent_socket(scene.guest.domain)

    def repair(self, scene: FreezeScene) -> None:
        """A new agent opens the port, and libvirt connects again."""
        scene.guest.kill_agent()
        scene.guest.wait_ready()


KILLS: tuple[Kill | KillService, ...] = (
    KillProcesses("agent", agent=True),
    KillProcesses("keeper", extension=(0,)),
    KillProcesses("freezer", extension=(1,)),
    KillProcesses("extension", extension=(0, 1)),
    KillProcesses("service", service=True),
    KillProcesses("service and extension", extension=(0, 1), service=True),
    KillProcesses("service and agent", agent=True, service=True),
    CutLibvirt(),
    KillLibvirtd("libvirtd, at once back", at_once=True),
    KillLibvirtd("libvirtd, back after the limit", at_once=False),
    BreakSocket(),
    KillService("overwinter serve"),
    KillService("overwinter serve and extension", extension=True),
    KillService("overwinter serve and libvirtd", libvirtd=True),
)
