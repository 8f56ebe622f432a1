"""One freeze window around a real snapshot, as a process that can be killed like a service.

    python -m testkit.freeze_window VM-UUID POINT-UUID LIBVIRT-URI SECONDS-BEFORE SECONDS-AFTER

The seconds make the freeze longer, before and after the snapshot. Prints the label and the overlay of the
snapshot as JSON; ``null`` for the overlay when none was taken.
"""

import json
import sys
import time
from uuid import UUID

from overwinter.hypervisor import inventory
from overwinter.hypervisor.connection import Hypervisor
from overwinter.hypervisor.overlay_capture import OverlayCapture
from overwinter.jobs import window

_RESERVE_BYTES = 1 << 20


def main(arguments: list[str]) -> int:
    """Run the window once."""
    vm_uuid, point_id = map(UUID, arguments[:2])
    uri, before_s, after_s = arguments[2], *map(float, arguments[3:])
    hypervisor = Hypervisor(uri)
    method = OverlayCapture(hypervisor)
    plan = method.plan(inventory.machine(hypervisor, vm_uuid), point_id, None)
    method.prepare(plan, _RESERVE_BYTES)

    def snapshot() -> None:
        print("frozen", flush=True)
        time.sleep(before_s)
        method.take(plan)
        time.sleep(after_s)

    result = window.run(hypervisor, vm_uuid, snapshot)
    record = result.freeze
    print(
        json.dumps(
            {
                "consistency": result.consistency,
                "by": None if record is None else record.method,
                "warnings": [warning.message for warning in result.warnings],
            }
        ),
        flush=True,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
