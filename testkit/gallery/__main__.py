"""Every fault of the gallery shown; progress on stderr, one JSON object on stdout.

Ends with 1 when fewer than 95 % of the codes are right, fewer than 90 % of the repairs work, a text is
missing, or a backup is wrong when its fault is over.
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
from testkit.gallery.page import PAGE, page
from testkit.gallery.scene import open_scene
from testkit.gallery.showing import Showing, show
from testkit.gallery.texts import missing
from testkit.ground import Ground, prepare
from testkit.torture import counting, tell


@dataclass
class Tally:
    """What the gallery has shown. ``failures``: showings that did not come to their end, or left damage."""

    faults: int = 0
    right_code: int = 0
    right_cause: int = 0
    auto_repairs: int = 0
    repaired: int = 0
    languages: int = field(default_factory=lambda: len(available()))
    texts_missing: int = field(default_factory=missing)
    failures: int = 0

    @property
    def is_good(self) -> bool:
        """Whether enough is right."""
        codes, repairs = self.right_code >= 0.95 * self.faults, self.repaired >= 0.9 * self.auto_repairs
        return codes and repairs and not self.failures and not self.texts_missing

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
    parser.add_argument("--page", action="store_true", help=f"only write {PAGE.name}")
    asked = parser.parse_args()
    if asked.page:
        PAGE.write_text(page(FAULTS))
        return 0
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    wanted = [fault for fault in FAULTS if not asked.name or fault.name in asked.name]
    with prepare() as ground:
        tally = gallery(ground, wanted)
    print(json.dumps(asdict(tally)))
    return 0 if tally.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
