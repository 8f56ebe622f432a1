"""Step 2: the guest agent, as its host sees it and as the guest tells."""

from overwinter.doctor import systems
from overwinter.doctor.check import Check, Finding, Step, failed, passed, warned
from overwinter.doctor.facts import Facts
from overwinter.model.agent import DELIVERY_COMMANDS, FREEZE_COMMANDS, AgentState, AgentStatus, SystemFamily
from overwinter.model.job import JobOperation
from overwinter.model.point import Consistency
from overwinter.model.vm import PowerState

#: The first .NET 4.5 (Microsoft's table of release numbers).
DOTNET_4_5 = 378389

#: The first Python that our own programs in a guest run with.
PYTHON = (3, 6)


def service_runs(facts: Facts) -> Finding | None:
    """Something in the guest has the agent's channel open and answers."""
    agent = _asked(facts)
    if agent is None:
        return None
    silent = agent.state in (AgentState.NOT_INSTALLED, AgentState.STOPPED, AgentState.NOT_READY)
    return failed("silent", why=agent.reason) if silent else passed()


def version(facts: Facts) -> Finding | None:
    """The agent is as new as the installation wants."""
    agent = _asked(facts)
    if agent is None or agent.info is None:
        return None
    if agent.state is AgentState.UNSUPPORTED:
        return failed("unsupported", why=agent.reason)
    if agent.state is AgentState.OUT_OF_DATE:
        return warned("old", why=agent.reason)
    return passed(version=agent.info.version)


def installed(facts: Facts) -> Finding | None:
    """There is an agent at all."""
    agent = facts.agent.get()
    if agent.state is AgentState.NOT_INSTALLED:
        return None if _freezes_nothing(facts) else failed("absent", why=agent.reason)
    return passed()


def supported_system(facts: Facts) -> Finding | None:
    """The guest's system is one that backups of running VMs are known to work with."""
    system = facts.agent.get().system
    if system is None or not system.id:
        return None
    oldest = systems.oldest_supported(system.id)
    if oldest is None:
        return None
    name = system.name if system.version in system.name else f"{system.name} {system.version}"
    if systems.is_older(system.version, oldest):
        return warned("old", system=name, oldest=oldest)
    return passed(system=name)


def python(facts: Facts) -> Finding | None:
    """Python is there, where the policy asks for points that need programs of ours in the guest."""
    found = facts.linux.get().python
    if found is None:
        return None
    numbers = tuple(int(part) for part in found.split(".") if part.isdecimal())
    if numbers >= PYTHON:
        return passed(python=found)
    protection = facts.records.get().protection
    required = protection and protection.policy.required_consistency
    if required is Consistency.APPLICATION:
        return failed("missing", python=found or "-")
    return passed("not_needed")


def dotnet(facts: Facts) -> Finding | None:
    """.NET 4.5 is there, which the agent of the profiles that follow Azure's editions needs."""
    release = facts.windows.get().dotnet
    if release is None or not facts.profile.needs_agent:
        return None
    return failed("missing") if release < DOTNET_4_5 else passed()


def restarts(facts: Facts) -> Finding | None:
    """The agent's service comes back by itself."""
    found = facts.linux.get().restart
    if found is None:
        return None
    return warned("never") if found == "no" else passed(restart=found)


def options(facts: Facts) -> Finding | None:
    """The agent's options let through what a freeze needs; nobody has switched extensions off."""
    agent = facts.agent.get()
    if agent.info is None:
        return None
    blocked = frozenset() if agent.frozen else FREEZE_COMMANDS & agent.info.known - agent.info.enabled
    if blocked:
        return failed("blocked", commands=", ".join(sorted(blocked)))
    return passed()


def azure_extensions(facts: Facts) -> Finding | None:
    """Where the Azure agent is configured, it runs extensions."""
    option = facts.linux.get().extensions
    if option is None:
        return None
    return passed() if option.casefold() == "y" else warned("off")


def azure_provisioning(facts: Facts) -> Finding | None:
    """Where the Azure agent is configured, it provisions automatically."""
    option = facts.linux.get().provisioning
    if option is None:
        return None
    return passed() if option.casefold() == "auto" else warned("other", option=option)


def ready(facts: Facts) -> Finding | None:
    """The agent is ready."""
    agent = _asked(facts)
    if agent is None:
        return None
    if agent.state is AgentState.READY:
        return passed(version=agent.version)
    say = warned if agent.state is AgentState.OUT_OF_DATE else failed
    return say("state", state=agent.state.value, why=agent.reason)


def delivery(facts: Facts) -> Finding | None:
    """Programs can be brought into the guest and run: what takes the place of Azure's repository."""
    agent = facts.agent.get()
    if agent.info is None or agent.frozen:
        return None
    blocked = DELIVERY_COMMANDS - agent.info.enabled
    return warned("blocked", commands=", ".join(sorted(blocked))) if blocked else passed()


def not_frozen(facts: Facts) -> Finding | None:
    """No file system of the guest is frozen, except by a backup that runs."""
    agent = facts.agent.get()
    if agent.info is None:
        return None
    if not agent.frozen:
        return passed()
    if any(job.operation is JobOperation.BACKUP for job in facts.records.get().active_jobs):
        return passed("by_backup")
    return failed("frozen")


def _asked(facts: Facts) -> AgentStatus | None:
    """The agent, where the VM runs and a backup would ask it."""
    machine = facts.machine.get()
    if machine is None or machine.state is not PowerState.RUNNING or _freezes_nothing(facts):
        return None
    return facts.agent.get()


def _freezes_nothing(facts: Facts) -> bool:
    protection = facts.records.get().protection
    return protection is not None and protection.policy.content.crash_consistent_only


_LINUX, _WINDOWS = SystemFamily.LINUX, SystemFamily.WINDOWS

CHECKS = (
    Check("H2.1", Step.AGENT, service_runs, ("C-WIN-AGENT",), _WINDOWS),
    Check("H2.2", Step.AGENT, version, ("C-WIN-AGENT",), _WINDOWS),
    Check("H2.3", Step.AGENT, installed, ("C-NO-AGENT", "C-NO-CHANNEL")),
    Check("H2.4", Step.AGENT, supported_system, ("C-WIN-AGENT",), _WINDOWS),
    Check("H2.5", Step.AGENT, service_runs, ("C-LIN-AGENT",), _LINUX),
    Check("H2.6", Step.AGENT, version, ("C-LIN-AGENT",), _LINUX),
    Check("H2.7", Step.AGENT, python, ("C-EXT-LOAD",), _LINUX),
    Check("H2.8", Step.AGENT, supported_system, ("C-LIN-AGENT",), _LINUX),
    Check("H2.9", Step.AGENT, dotnet, ("C-WIN-AGENT",), _WINDOWS),
    Check("H2.10", Step.AGENT, restarts, ("C-LIN-AGENT",), _LINUX),
    Check("H2.11", Step.AGENT, options, ("C-AGENT-BLOCKED",)),
    Check("H2.11a", Step.AGENT, azure_extensions, ("C-LIN-CONF",), _LINUX),
    Check("H2.12", Step.AGENT, azure_provisioning, ("C-LIN-CONF",), _LINUX),
    Check("H2.13", Step.AGENT, ready, ("C-AGENT-STATE", "C-AGENT-BLOCKED", "C-AGENT-ERROR")),
    Check("X2.1", Step.AGENT, not_frozen, ("C-FS-FROZEN", "C-STILL-FROZEN")),
    Check("H4.5", Step.BACKUP, delivery, ("C-AGENT-BLOCKED",)),
)
