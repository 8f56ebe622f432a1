"""One command to QEMU itself, by way of libvirt, for what only QEMU knows.

libvirt marks the VM as tainted by it (``custom-monitor``) until its next start: a command could change what
libvirt believes of the VM. Only `lost_snapshot` uses it, to bring back what libvirt believes.
"""

import json

import libvirt
import libvirt_qemu

from overwinter.model.errors import HypervisorError


def monitor_command(
    domain: libvirt.virDomain, name: str, arguments: dict[str, object] | None = None
) -> object:
    """Carry out a command of the QEMU Machine Protocol and return its answer's ``return``.

    Raises HypervisorError when QEMU refuses it, libvirtError when libvirt does.
    """
    command = {"execute": name, "arguments": arguments or {}}
    answer = json.loads(libvirt_qemu.qemuMonitorCommand(domain, json.dumps(command), 0))
    if "return" not in answer:
        words = answer.get("error", {}).get("desc", "no reason given")
        raise HypervisorError(f"QEMU refused {name}: {words}")
    return answer["return"]
