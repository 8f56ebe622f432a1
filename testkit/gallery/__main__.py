"""Every fault of the gallery shown, and healthy VMs; progress on stderr, one JSON object on stdout.

Ends with 1 when fewer than 95 % of the codes are right, fewer than 90 % of the repairs work, a text is
missing, a backup is wrong when its fault is over, or the doctor warns of something at a healthy VM or takes
long for it.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

import structlog

from overwinter.codebook.languages import available
from testkit.gallery.fault import Fault
from testkit.gallery.faults import FAULTS
from testkit.gallery.healthy import SET_UPS, VISIT_LIMIT_S, Visit, visit
from testkit.gallery.page import PAGE, page
from testkit.gallery.scene import open_scene
from testkit.gallery.showing import Showing, show
from testkit.gallery.texts import missing
from testkit.ground import Ground, prepare
from testkit.torture import counting, tell


@dataclass
class Tally:
    """What the gallery has shown.

    ``failures``: showings that did not come to their end, or left damage. ``healthy`` set-ups were visited by
    the doctor; ``false_alarms`` are those of which it warned.
    """

    faults: int = 0
    right_code: int = 0
    right_cause: int = 0
    auto_repairs: int = 0
    repaired: int = 0
    languages: int = field(default_factory=lambda: len(available()))
    texts_missing: int = field(default_factory=missing)
    failures: int = 0
    healthy: int = 0
    false_alarms: int = 0
    longest_visit_s: float = 0.0

    @property
    def is_good(self) -> bool:
        """Whether enough is right."""
        codes, repairs = self.right_code >= 0.95 * self.faults, self.repaired >= 0.9 * self.auto_repairs
        visits = not self.false_alarms and self.longest_visit_s <= VISIT_LIMIT_S
        return codes and repairs and visits and not self.failures and not self.texts_missing

    def count(self, shown: Showing) -> None:
        """Count one."""
        self.right_code += shown.has_right_code
        self.right_cause += shown.has_right_cause
        self.auto_repairs += shown.fault.repair is not None
        self.repaired += shown.is_repaired is True
        self.failures += not shown.is_sound


def gallery(ground: Ground, faults: Iterable[Fault]) -> Tally:
    """Show them, those of one place after the other."""
    tally, wanted = Tally(), list(faults)
    for place in dict.fromkeys(fault.place for fault in wanted):
        with open_scene(ground, place) as scene:
            for fault in wanted:
                if fault.place == place:
                    tell(fault.name)
                    tally.faults += 1
                    with counting(tally, {}, otherwise="failures"):
                        shown = show(scene, fault)
                        tally.count(shown)
                        _tell(shown)
    return tally


def look_at_healthy(ground: Ground, tally: Tally) -> None:
    """Let the doctor visit the healthy set-ups, those of one place after the other."""
    for place in dict.fromkeys(set_up.place for set_up in SET_UPS):
        with open_scene(ground, place) as scene:
            for set_up in SET_UPS:
                if set_up.place == place:
                    tally.healthy += 1
                    with counting(tally, {}, otherwise="failures"):
                        _count_visit(tally, visit(scene, set_up))


def _count_visit(tally: Tally, seen: Visit) -> None:
    tell(f"{seen.set_up.name}: {seen.seconds:.1f} s, {len(seen.unknown)} unknown")
    for alarm in seen.alarms:
        tell(f"  false alarm: {alarm}")
    tally.false_alarms += bool(seen.alarms)
    tally.longest_visit_s = max(tally.longest_visit_s, round(seen.seconds, 1))


def _tell(shown: Showing) -> None:
    if not shown.has_right_code:
        tell(f"  wrong code: {shown.told.code} instead of {shown.fault.code}: {shown.told.message}")
    elif not shown.has_right_cause:
        tell(f"  wrong cause: {shown.cause} instead of {shown.fault.cause}")
    if shown.is_repaired is False or not shown.is_sound:
        tell(f"  repaired: {shown.is_repaired}, sound: {shown.is_sound}")


def main() -> int:
    """Show what was asked for; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m testkit.gallery", description=__doc__)
    parser.add_argument("name", nargs="*", help="faults to show; all without")
    parser.add_argument("--healthy", action="store_true", help="only the healthy VMs")
    parser.add_argument("--page", action="store_true", help=f"only write {PAGE.name}")
    asked = parser.parse_args()
    if asked.page:
        PAGE.write_text(page(FAULTS))
        return 0
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    wanted = [fault for fault in FAULTS if not asked.name or fault.name in asked.name]
    with prepare() as ground:
        tally = Tally() if asked.healthy else gallery(ground, wanted)
        if not asked.name:
            look_at_healthy(ground, tally)
    print(json.dumps(asdict(tally)))
    return 0 if tally.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
