"""What verification and repair found, as JSON documents and as sentences for people."""

from collections.abc import Mapping

from overwinter.vault import Damage, DamagedDisk, LostPoint, RepairReport, VerifyReport

#: A document holds at most so many ranges of disks, and so many damages; of more it says the number.
_MOST_RANGES = 5_000
_MOST_DAMAGES = 1_000

#: Disks that a sentence names.
_NAMED = 3


class Reports:
    """Writes reports; ``ids`` are those of recovery points, by the names the vault has for them."""

    def __init__(self, ids: Mapping[str, str]) -> None:
        self._ids = ids

    def of_verification(self, report: VerifyReport) -> dict[str, object]:
        """The whole report: each damaged object, and which ranges of which disk of which point it touches.

        Offsets and lengths are bytes.
        """
        room = _MOST_RANGES
        damages = []
        for damage in report.damages[:_MOST_DAMAGES]:
            disks = []
            for disk in damage.disks:
                shown = min(room, len(disk.ranges))
                room -= shown
                disks.append(self._disk(disk, shown))
            damages.append(
                {
                    "object": damage.object,
                    "reason": damage.reason,
                    "harmless": damage.harmless,
                    "disks": disks,
                    "more_disks": damage.more_disks,
                }
            )
        return {
            **facts_of_verification(report),
            "is_whole": report.is_whole,
            "damages": damages,
            "more_damages": max(0, len(report.damages) - _MOST_DAMAGES),
        }

    def of_repair(self, report: RepairReport) -> dict[str, object]:
        """The whole report: what was made anew, what is lost, and what is damaged now."""
        return {
            **facts_of_repair(report),
            "searched_packs": list(report.searched),
            "replaced_objects": list(report.replaced),
            "left_objects": list(report.left),
            "lost_points": [
                {
                    "object": point.object,
                    "reason": point.reason,
                    "point": self._ids.get(point.point_id or ""),
                    "name": point.point_id,
                    "vm": point.vm_name,
                    "removed": point.removed,
                }
                for point in report.lost_points
            ],
            "verified": self.of_verification(report.verified),
        }

    def summary(self, report: VerifyReport) -> str:
        """In one sentence what of which VMs is damaged; there must be damage that is not harmless."""
        harmful = [damage for damage in report.damages if not damage.harmless]
        touched = {(disk.vm_name, disk.point_id) for damage in harmful for disk in damage.disks}
        vms = sorted({vm for vm, _ in touched})
        of_vms = f" They touch {len(touched)} recovery point(s) of {', '.join(vms)}." if vms else ""
        return (
            f"{len(harmful)} object(s) of the vault are damaged.{of_vms} The first is "
            f"{self.sentence(harmful[0])}"
        )

    def sentence(self, damage: Damage) -> str:
        """One damage: the object, the reason, what it touches."""
        touched = [self._touched(disk) for disk in damage.disks[:_NAMED]]
        more = len(damage.disks) - len(touched) + damage.more_disks
        what = f"; it touches {', '.join(touched)}" if touched else ""
        rest = f" and {more} more disk(s)" if more else ""
        none = "; nothing that is needed is touched" if damage.harmless else ""
        return f"{damage.object}: {damage.reason}{what}{rest}{none}."

    def lost_sentence(self, point: LostPoint) -> str:
        """A recovery point that is lost, and whether it was removed."""
        known = point.point_id is not None
        which = f"Recovery point {self._id(point.point_id or '')} of {point.vm_name}" if known else "A point"
        end = "It was removed." if point.removed else "It was kept."
        return f"{which} is lost ({point.object}: {point.reason}). {end}"

    def _touched(self, disk: DamagedDisk) -> str:
        first = f", from byte {disk.ranges[0].offset} on" if disk.ranges else ""
        return f"{disk.vm_name} {disk.target} of point {self._id(disk.point_id)} ({disk.length} bytes{first})"

    def _disk(self, disk: DamagedDisk, ranges: int) -> dict[str, object]:
        shown = [{"offset": extent.offset, "length": extent.length} for extent in disk.ranges[:ranges]]
        return {
            "vm": disk.vm_name,
            "vm_uuid": str(disk.vm_uuid),
            "point": self._ids.get(disk.point_id),
            "name": disk.point_id,
            "target": disk.target,
            "bytes": disk.length,
            "ranges": shown,
            "more_ranges": disk.more_ranges + len(disk.ranges) - len(shown),
        }

    def _id(self, name: str) -> str:
        return self._ids.get(name, name)


def facts_of_verification(report: VerifyReport) -> dict[str, object]:
    """What was looked at, as properties of a job."""
    return {
        "objects": report.objects,
        "points": report.points,
        "packs": report.packs,
        "segments_read": report.segments,
        "bytes_read": report.bytes_read,
        "objects_damaged": len(report.damages),
    }


def facts_of_repair(report: RepairReport) -> dict[str, object]:
    """What was done, as properties of a job."""
    return {
        "packs": report.packs,
        "blobs": report.blobs,
        "packs_searched": len(report.searched),
        "objects_replaced": len(report.replaced),
        "points_lost": len(report.lost_points),
        "objects_damaged": len(report.verified.damages),
    }
