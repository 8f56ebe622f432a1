"""The guest agent of a VM as its host sees it: what was observed, and which state that means.

The states are those of the reference articles. The rule is pure; `guest.agent_status` observes.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from overwinter.model.vm import PowerState

#: Commands without which file systems cannot be brought to rest.
FREEZE_COMMANDS = frozenset({"guest-fsfreeze-status", "guest-fsfreeze-freeze", "guest-fsfreeze-thaw"})

#: Commands with which programs and files are brought into the guest and run there.
DELIVERY_COMMANDS = frozenset(
    {
        "guest-exec",
        "guest-exec-status",
        "guest-file-open",
        "guest-file-read",
        "guest-file-write",
        "guest-file-close",
    }
)

_VERSION = re.compile(r"\d{1,6}(?:\.\d{1,6})*")


class AgentState(StrEnum):
    """State of the agent, in the words of the reference articles."""

    NOT_INSTALLED = "NotInstalled"
    STOPPED = "Stopped"
    NOT_READY = "NotReady"
    INCONSISTENT = "Inconsistent"
    OUT_OF_DATE = "OutOfDate"
    UNSUPPORTED = "Unsupported"
    READY = "Ready"

    @property
    def can_freeze(self) -> bool:
        """Whether the guest can be asked to freeze its file systems; an old agent can as well."""
        return self in (AgentState.READY, AgentState.OUT_OF_DATE)


class SystemFamily(StrEnum):
    """Kinds of guest systems that are looked after in different ways."""

    LINUX = "Linux"
    WINDOWS = "Windows"
    OTHER = "other"


@dataclass(frozen=True)
class GuestSystem:
    """What the guest says about its operating system; empty where it says nothing.

    ``id`` is that of os-release, ``mswindows`` for Windows.
    """

    id: str
    name: str
    version: str
    kernel: str

    @property
    def family(self) -> SystemFamily:
        """Which kind of system it is."""
        if self.id == "mswindows":
            return SystemFamily.WINDOWS
        is_linux = bool(self.id or self.kernel) and not self.id.endswith("bsd")
        return SystemFamily.LINUX if is_linux else SystemFamily.OTHER


@dataclass(frozen=True)
class AgentInfo:
    """Version of the agent, the commands it knows, and those of them that it carries out now."""

    version: str
    known: frozenset[str]
    enabled: frozenset[str]


@dataclass(frozen=True)
class AgentVersions:
    """What an installation expects of agents.

    Below ``minimum`` an agent is not used; below ``newest``, if given, it is out of date. QEMU 2.5 was the
    first whose agent runs programs.
    """

    minimum: str = "2.5"
    newest: str | None = None


DEFAULT_VERSIONS = AgentVersions()


@dataclass(frozen=True)
class AgentEvidence:
    """What was observed of an agent.

    ``channel``: the VM's definition has the agent's channel; ``connected``: something in the guest has it
    open. ``seen``: the agent has answered before. ``silence`` says why there was no answer, ``nonsense`` what
    answer made no sense; both are empty where the agent answered well or was not asked. ``frozen``: it holds
    file systems frozen, and then it carries out nearly nothing.
    """

    power: PowerState
    channel: bool
    connected: bool
    seen: bool
    silence: str = ""
    nonsense: str = ""
    info: AgentInfo | None = None
    frozen: bool = False


@dataclass(frozen=True)
class LastSeen:
    """What the agent said of itself and its system when it last answered."""

    time: datetime
    version: str
    system: GuestSystem


@dataclass(frozen=True)
class AgentStatus:
    """State of a VM's agent at one moment.

    ``reason`` is a sentence for people. ``last`` is the last answer, of this moment or before; null when
    there never was one. ``info`` and ``hostname`` are null where the agent did not say.
    ``frozen``: it holds file systems frozen.
    """

    state: AgentState
    reason: str
    last: LastSeen | None = None
    info: AgentInfo | None = None
    hostname: str | None = None
    frozen: bool = False

    @property
    def version(self) -> str | None:
        """Version of the agent, by its last answer."""
        return None if self.last is None else self.last.version

    @property
    def system(self) -> GuestSystem | None:
        """The guest's system, by its last answer."""
        return None if self.last is None else self.last.system


def judge(evidence: AgentEvidence, versions: AgentVersions) -> tuple[AgentState, str]:
    """State of the agent, and the reason in a sentence."""
    reached = _reachability(evidence)
    if reached is not None:
        return reached
    if evidence.nonsense or evidence.info is None:
        return AgentState.INCONSISTENT, evidence.nonsense or "The agent answers, but tells nothing of itself."
    return _fitness(evidence.info, versions, frozen=evidence.frozen)


def _reachability(evidence: AgentEvidence) -> tuple[AgentState, str] | None:
    """The state of an agent that cannot be talked to; None when it can."""
    if not evidence.channel:
        return AgentState.NOT_INSTALLED, "The VM's definition has no channel for the agent."
    if evidence.power is PowerState.PAUSED:
        return AgentState.NOT_READY, "The VM is paused, and its agent with it."
    if evidence.power is not PowerState.RUNNING:
        return AgentState.STOPPED, "The VM is not running."
    if not evidence.connected:
        if evidence.seen:
            return AgentState.STOPPED, "Nothing in the guest has the agent's channel open any more."
        return (
            AgentState.NOT_INSTALLED,
            "Nothing in the guest has the agent's channel open, and no agent was ever seen there.",
        )
    if evidence.silence:
        return (
            AgentState.NOT_READY,
            f"The agent has its channel open but does not answer: {evidence.silence}",
        )
    return None


def _fitness(info: AgentInfo, versions: AgentVersions, *, frozen: bool) -> tuple[AgentState, str]:
    version, minimum = _numbers(info.version), _numbers(versions.minimum)
    if not version:
        return AgentState.INCONSISTENT, f"The agent answers, but calls its version {info.version!r}."
    if version < minimum:
        return AgentState.UNSUPPORTED, f"Version {info.version} is older than {versions.minimum}."
    missing = FREEZE_COMMANDS - info.known
    if missing:
        return AgentState.UNSUPPORTED, f"Version {info.version} does not know {_listed(missing)}."
    blocked = frozenset() if frozen else FREEZE_COMMANDS - info.enabled
    if blocked:
        return AgentState.INCONSISTENT, f"The agent answers, but its options forbid {_listed(blocked)}."
    if versions.newest is not None and version < _numbers(versions.newest):
        return AgentState.OUT_OF_DATE, f"Version {info.version} is older than {versions.newest}."
    return AgentState.READY, "Guest Agent is running"


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers a version begins with, without zeros at the end; empty when it begins with none."""
    found = _VERSION.match(version)
    numbers = [int(part) for part in found.group().split(".")] if found else []
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def is_version(text: str) -> bool:
    """Whether a text is a version that others can be compared with."""
    return _VERSION.fullmatch(text) is not None


def _listed(commands: frozenset[str]) -> str:
    return ", ".join(sorted(commands))
