"""The service of the agent in the guest: whether it starts with the system, and starting it anew."""

from overwinter.guest.agent import GuestAgent
from overwinter.model.errors import GuestCommandFailed

#: The names that distributions give it.
_UNITS = "qemu-guest-agent.service qemu-ga.service"

#: Starting programs takes seconds on a slow machine.
_RUN_S = 60.0

#: One call, for what is not there too.
_SHOW = f"[ ! -d /run/systemd/system ] || systemctl show -p Id,ActiveState,UnitFileState {_UNITS}"

#: In the background and a moment later: the agent must still say that this was begun.
_RESTART = f"""\
(
    sleep 1
    if [ -d /run/systemd/system ]; then
        for unit in {_UNITS}; do systemctl -q is-active $unit && systemctl restart $unit; done
    else
        service qemu-guest-agent restart
    fi
) >/dev/null 2>&1 </dev/null &
"""


class AgentService:
    """The service of one guest's agent; every call may raise what the agent's calls raise."""

    def __init__(self, agent: GuestAgent) -> None:
        self._agent = agent

    def disabled_unit(self) -> str | None:
        """The systemd unit of the agent that runs, and that nothing starts at boot; else null.

        Null also where there is no systemd, and for a unit that a device starts ("static").
        """
        said = self._agent.run(["/bin/sh", "-c", _SHOW], _RUN_S).output.decode(errors="replace")
        units = [
            dict(line.partition("=")[::2] for line in block.splitlines()) for block in said.split("\n\n")
        ]
        return next(
            (
                name
                for name in _UNITS.split()
                if {"Id": name, "ActiveState": "active", "UnitFileState": "disabled"} in units
            ),
            None,
        )

    def enable(self, unit: str) -> None:
        """Let a unit start with the system. Raises GuestCommandFailed."""
        done = self._agent.run(["/bin/sh", "-c", 'systemctl -q enable "$0"', unit], _RUN_S)
        if done.exit_code != 0:
            raise GuestCommandFailed(f"systemctl enable {unit} in the guest failed ({done.exit_code})")

    def restart(self) -> None:
        """Order a restart of the agent; it happens a second later, and the agent is away for a moment."""
        self._agent.run(["/bin/sh", "-c", _RESTART], _RUN_S)
