"""What a machine may mend of a VM: of the VM itself, its guest, its disk chains, and the vault it is in.

Each repair looks first whether there is something to mend and whether mending it is safe, then acts, then
looks again. None deletes a point before it expires, touches a lock, or changes what a guest reads from its
disks. How each is undone, or why it need not be, is said where it acts. ``mending`` goes through all of them.
"""

from overwinter.jobs.repairs.mending import REPAIRS, TRIED_AGAIN, after_failure, on_request, plan
from overwinter.jobs.repairs.repair import Case, Finding, Repair

__all__ = ["REPAIRS", "TRIED_AGAIN", "Case", "Finding", "Repair", "after_failure", "on_request", "plan"]
