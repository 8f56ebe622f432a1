"""Faults of the agent as a service of a whole system: masked, uninstalled, never started again, held back."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from overwinter.model.agent import FREEZE_COMMANDS
from testkit.console import console_run
from testkit.gallery.fault import Fault
from testkit.gallery.patient import Patient
from testkit.gallery.scene import Scene

_SILENT = "UserErrorGuestAgentStatusUnavailable"
_STATE = "C-AGENT-STATE"

#: systemctl takes seconds under emulation.
_LIMIT_S = 300

_UNIT = "qemu-guest-agent.service"
_DROP_IN = f"/etc/systemd/system/{_UNIT}.d/gallery.conf"
_OPTIONS = "/etc/qemu/qemu-ga.conf"
_KEPT = "/var/tmp/agent.tar"


def _in_debian(
    do: str, undo: str, *, answers: bool = False
) -> Callable[[Scene], AbstractContextManager[Patient]]:
    """Done in a Debian by way of its console; afterwards its agent is started again.

    ``answers``: the agent does so after what was done.
    """

    @contextmanager
    def inject(scene: Scene) -> Iterator[Patient]:
        patient = scene.running_debian()
        patient.station.backup(patient.item)  # one that never answered may not be installed at all
        console_run(patient.guest.domain, do, _LIMIT_S)
        if answers:
            patient.guest.wait_ready()
        yield patient
        console_run(patient.guest.domain, f"{undo}; systemctl restart {_UNIT}", _LIMIT_S)
        patient.guest.wait_ready()

    return inject


FAULTS = (
    Fault(
        "agent masked",
        "An administrator stopped the agent's service and masked it.",
        _SILENT,
        _STATE,
        _in_debian(f"systemctl mask --now {_UNIT}", f"systemctl unmask {_UNIT}"),
    ),
    Fault(
        "agent uninstalled",
        "Somebody removed the agent's package.",
        _SILENT,
        _STATE,
        _in_debian(
            f"tar --no-recursion -cPf {_KEPT} "
            "$(dpkg -L qemu-guest-agent | grep -e /etc/ -e /lib/ -e /sbin/); "
            "dpkg --purge qemu-guest-agent >/dev/null 2>&1; systemctl daemon-reload",
            f"tar xPf {_KEPT}; systemctl daemon-reload",
        ),
    ),
    Fault(
        "agent crashed, not started again",
        "The agent crashed, and its service does not start it again.",
        _SILENT,
        _STATE,
        _in_debian(
            f"mkdir -p {_DROP_IN.rpartition('/')[0]}; printf '[Service]\\nRestart=no\\n' >{_DROP_IN}; "
            f"systemctl daemon-reload; systemctl kill --signal=SEGV {_UNIT}",
            f"rm {_DROP_IN}; systemctl daemon-reload",
        ),
        repair="agent-start",
    ),
    Fault(
        "agent's service stopped",
        "An administrator stopped the agent's service and forgot it.",
        _SILENT,
        _STATE,
        _in_debian(f"systemctl stop {_UNIT}", "true"),
        repair="agent-start",
    ),
    Fault(
        "agent's service hung",
        "The agent's process does nothing any more (SIGSTOP).",
        _SILENT,
        _STATE,
        _in_debian(f"systemctl kill --signal=STOP {_UNIT}", "true"),
        repair="agent-start",
    ),
    Fault(
        "agent configured without the freeze",
        "The agent's configuration file forbids the commands of the freeze.",
        _SILENT,
        "C-AGENT-BLOCKED",
        _in_debian(
            f"printf '[general]\\nblock-rpcs={','.join(sorted(FREEZE_COMMANDS))}\\n' >{_OPTIONS}; "
            f"systemctl restart {_UNIT}",
            f"rm {_OPTIONS}",
            answers=True,
        ),
        repair="agent-options",
    ),
)
