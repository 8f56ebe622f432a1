"""Which disks of a VM its backups cover: all, all but some, or only some. Pure rules.

As in Azure's selective disk backup only data disks are chosen, by LUN; the operating-system disk is always
covered. A list of excluded disks covers disks that are added later, a list of included ones does not.
"""

from dataclasses import dataclass, replace

from overwinter.model.errors import DiskSelectionInvalid
from overwinter.model.vm import OS_LUN, VirtualMachine

_REASON = "excluded from the backup"


@dataclass(frozen=True)
class DiskSelection:
    """The data disks that are named by ``luns`` are the only ``included`` ones, or else the excluded ones."""

    luns: tuple[int, ...] = ()
    included: bool = False

    def covers(self, lun: int) -> bool:
        """Whether the disk of that LUN is backed up."""
        return lun == OS_LUN or (lun in self.luns) == self.included

    def check(self, vm: VirtualMachine) -> None:
        """Raise DiskSelectionInvalid when it names the operating-system disk or one that the VM lacks."""
        known = {disk.lun for disk in vm.disks}
        for lun in self.luns:
            if lun == OS_LUN:
                raise DiskSelectionInvalid(
                    f"The operating-system disk of {vm.name} is always backed up: name data disks only."
                )
            if lun not in known:
                named = ", ".join(f"{disk.lun} ({disk.target})" for disk in vm.disks if disk.lun != OS_LUN)
                raise DiskSelectionInvalid(
                    f"{vm.name} has no data disk with LUN {lun}. It has: {named or 'none'}."
                )

    def applied(self, vm: VirtualMachine) -> VirtualMachine:
        """The VM as a backup sees it: excluded disks are among the skipped ones."""
        excluded = tuple((disk.target, _REASON) for disk in vm.disks if not self.covers(disk.lun))
        return replace(
            vm,
            disks=tuple(disk for disk in vm.disks if self.covers(disk.lun)),
            skipped_disks=vm.skipped_disks + excluded,
        )


#: What an item has unless somebody chooses.
EVERY_DISK = DiskSelection()
