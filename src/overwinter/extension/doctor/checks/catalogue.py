"""Every check with its id, its place in the guide, and the errors it predicts.

Ids with H are those of the host's doctor, which looks at the same things from outside; those with G exist
only here. Python 3.6, standard library only.
"""

from typing import Callable, List, NamedTuple, Optional, Tuple

from overwinter.extension.doctor.checks import (
    agent,
    extensions,
    network,
    options,
    snapshot,
    vm,
    windows,
)
from overwinter.extension.doctor.checks.finding import Finding, NotApplicable, unknown
from overwinter.extension.doctor.facts.snapshot import Facts
from overwinter.extension.doctor.text import NotKnown, Text

LINUX, WINDOWS, ANY = "linux", "windows", "any"

#: The steps of the guide, by their keys in the section ``steps``.
STEPS = ("1", "2", "3", "4")

_STATUS = "UserErrorGuestAgentStatusUnavailable"
_SNAPSHOT_STATUS = "GuestAgentSnapshotTaskStatusError"
_PROVISIONING = "UserErrorVmProvisioningStateFailed"
_OPERATION = "ExtensionOperationFailedForManagedDisks"
_NO_NETWORK = "ExtensionSnapshotFailedNoNetwork"
_FREEZE = "UserErrorFsFreezeFailed"
_INTERNAL = "VMRestorePointInternalError"


class Check(NamedTuple):
    """``rule`` raises NotApplicable and NotKnown; its finding may predict other codes than ``predicts``."""

    id: str
    step: str
    system: str
    rule: Callable[[Facts], Finding]
    predicts: Tuple[str, ...] = ()


CHECKS = (
    Check("H1.2", "1", LINUX, vm.no_updates, (_SNAPSHOT_STATUS,)),
    Check("H1.3", "1", ANY, vm.no_reboot, (_SNAPSHOT_STATUS,)),
    Check("H2.1", "2", WINDOWS, windows.agent_running, (_STATUS,)),
    Check("H2.3", "2", WINDOWS, windows.agent_installed, (_STATUS,)),
    Check("H2.5", "2", LINUX, agent.running, (_STATUS,)),
    Check("H2.6", "2", LINUX, agent.version, (_STATUS,)),
    Check("H2.7", "2", LINUX, options.python, (_STATUS,)),
    Check("H2.8", "2", LINUX, options.system),
    Check("H2.9", "2", WINDOWS, windows.dotnet, (_STATUS,)),
    Check("H2.10", "2", LINUX, agent.restarts, (_STATUS,)),
    Check("H2.11", "2", LINUX, options.extensions_enabled, (_SNAPSHOT_STATUS,)),
    Check("H2.12", "2", LINUX, options.provisioning, (_SNAPSHOT_STATUS,)),
    Check("H2.13", "2", LINUX, agent.ready, (_STATUS,)),
    Check("G2.1", "2", LINUX, agent.port, (_STATUS,)),
    Check("G2.2", "2", LINUX, agent.commands, (_FREEZE,)),
    Check("H3.1", "3", LINUX, extensions.provisioned, (_PROVISIONING,)),
    Check(
        "H3.2", "3", WINDOWS, windows.com, ("ExtensionSnapshotFailedCOM", "ExtensionInstallationFailedCOM")
    ),
    Check("H3.3", "3", WINDOWS, windows.transactions, ("ExtensionInstallationFailedMDTC",)),
    Check("H4.1", "4", LINUX, extensions.snapshot_extension, (_PROVISIONING, _OPERATION)),
    Check("H4.2", "4", WINDOWS, windows.faults, (_INTERNAL, _OPERATION)),
    Check("H4.5", "4", LINUX, network.packages, (_NO_NETWORK,)),
    Check("H4.6", "4", LINUX, network.old_agent, (_NO_NETWORK,)),
    Check("H4.7", "4", ANY, network.wire_server, (_NO_NETWORK,)),
    Check("H4.8", "4", ANY, network.https, (_NO_NETWORK,)),
    Check("H4.9", "4", ANY, network.host_plugin, (_NO_NETWORK,)),
    Check("H4.10", "4", LINUX, network.dhcp, (_NO_NETWORK,)),
    Check("H4.11", "4", LINUX, network.option_245, (_NO_NETWORK,)),
    Check("H4.12", "4", WINDOWS, windows.vss, ("ExtensionFailedVssWriterInBadState",)),
    Check("G4.1", "4", LINUX, snapshot.scripts, ("Pre-ScriptExecutionFailed",)),
    Check("G4.2", "4", LINUX, snapshot.freezable, (_FREEZE,)),
    Check("G4.3", "4", LINUX, snapshot.room, (_OPERATION, _SNAPSHOT_STATUS)),
    Check("G4.4", "4", LINUX, network.proxies, (_NO_NETWORK,)),
)


class Result(NamedTuple):
    """What a check found. ``finding`` is null when it has no meaning here, for the reason in ``left_out``."""

    check: Check
    finding: Optional[Finding]
    left_out: Optional[Text] = None

    @property
    def predicts(self) -> Tuple[str, ...]:
        """Codes that a backup would end with, if this is not as it should be."""
        own = self.finding.predicts if self.finding is not None else ()
        return own or self.check.predicts


def examine(facts: Facts) -> List[Result]:
    """Every check of this system, in the order of the guide."""
    own = WINDOWS if facts.windows else LINUX
    return [_result(check, facts) for check in CHECKS if check.system in (ANY, own)]


def _result(check: Check, facts: Facts) -> Result:
    try:
        return Result(check, check.rule(facts))
    except NotApplicable as error:
        return Result(check, None, error.reason)
    except NotKnown as error:
        return Result(check, unknown(error.reason.key, **error.reason.values))
