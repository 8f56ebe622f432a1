"""Step 1, the VM: does something wait to be done to its system? Python 3.6, standard library only."""

from overwinter.extension.doctor.checks.finding import Finding, passed, warned
from overwinter.extension.doctor.facts.snapshot import Facts
from overwinter.extension.doctor.text import need

_MOST_SHOWN = 5


def no_updates(facts: Facts) -> Finding:
    """H1.2."""
    waiting = need(facts.updates)
    if not waiting:
        return passed("updates-none")
    shown = ", ".join(waiting[:_MOST_SHOWN]) + (" …" if len(waiting) > _MOST_SHOWN else "")
    return warned("updates-wait", "S-UPDATES", [shown], number=len(waiting))


def no_reboot(facts: Facts) -> Finding:
    """H1.3."""
    reasons = need(facts.reboot).reasons
    return warned("reboot-waits", "S-REBOOT", reasons) if reasons else passed("reboot-none")
