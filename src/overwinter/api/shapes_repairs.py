"""What a machine could mend of a VM, as a document. ARM has no shape for it."""

from collections.abc import Sequence

from overwinter.jobs.repairs import Finding
from overwinter.model.protection import ProtectedItem


def plan_shape(item: ProtectedItem, found: Sequence[Finding]) -> dict[str, object]:
    """A plan, in the order in which it would be done."""
    return {
        "vm": item.vm_name,
        "repairs": [
            {
                "repair": each.repair,
                "finding": each.finding,
                "action": each.action,
                "touches": each.touches,
            }
            for each in found
        ],
    }
