"""Step 2, the guest agent: is it there, does it run, is it ready, and will it stay so?

Where a machine needs both agents, the worse of the two findings counts. Python 3.6, standard library only.
"""

from typing import Sequence

from overwinter.extension.doctor.checks.expected import Agent, azure_agent, needed, present, qemu_agent
from overwinter.extension.doctor.checks.finding import (
    Finding,
    NotApplicable,
    failed,
    passed,
    unknown,
    warned,
    worst,
)
from overwinter.extension.doctor.facts import qemu_agent as qemu
from overwinter.extension.doctor.facts.snapshot import Facts
from overwinter.extension.doctor.facts.versions import numbers
from overwinter.extension.doctor.text import Unknown, need, say

#: Packages of the agents, by the names that distributions give them.
_PACKAGES = ("waagent", "walinuxagent", "WALinuxAgent", "python-azure-agent", "qemu-guest-agent")

#: Azure's agent reports every few seconds, but not while it waits for an extension: up to 15 minutes.
_REPORT_SECONDS = 20 * 60

_FREEZE = ("guest-fsfreeze-freeze", "guest-fsfreeze-status", "guest-fsfreeze-thaw")

_EXTENSION = ("guest-exec", "guest-exec-status", "guest-file-open", "guest-file-read", "guest-file-write")


def running(facts: Facts) -> Finding:
    """H2.5."""
    agents = needed(facts)
    return worst(_running(agent) for agent in agents) if agents else failed("agent-none", "S-AGENT-INSTALL")


def _running(agent: Agent) -> Finding:
    where = [agent.unit.path] if agent.unit else []
    if agent.program is None and (isinstance(agent.processes, Unknown) or not agent.processes):
        return failed("agent-missing", "S-AGENT-INSTALL", agent=agent.name)
    processes = need(agent.processes)
    held = [process for process in processes if process.stopped]
    if held:
        evidence = ["process {}: state {}".format(process.pid, process.state) for process in held]
        return failed("agent-held", "S-AGENT-RESTART", evidence, agent=agent.name, service=agent.service)
    if processes:
        evidence = ["process {}: {}".format(p.pid, " ".join(p.arguments)) for p in processes]
        return passed("agent-runs", evidence, agent=agent.name)
    if agent.unit is not None and agent.unit.masked:
        return failed("agent-masked", "S-AGENT-UNMASK", where, agent=agent.name, service=agent.service)
    if agent.unit is not None and agent.unit.condition:
        where.append("ConditionVirtualization={}".format(agent.unit.condition))
    return failed("agent-stopped", "S-LIN-2", where, agent=agent.name, service=agent.service)


def version(facts: Facts) -> Finding:
    """H2.6."""
    waiting = () if isinstance(facts.updates, Unknown) else facts.updates
    newer = [package for package in waiting if package in _PACKAGES]
    return worst(_version(agent, newer) for agent in present(facts))


def _version(agent: Agent, newer: Sequence[str]) -> Finding:
    if agent.version is None or not numbers(agent.version):
        return unknown("agent-version-unknown", agent=agent.name)
    if numbers(agent.version) < numbers(agent.minimum):
        return failed(
            "agent-unsupported", "S-LIN-1", agent=agent.name, version=agent.version, minimum=agent.minimum
        )
    if newer:
        return warned("agent-outdated", "S-LIN-1", newer, agent=agent.name, version=agent.version)
    return passed("agent-supported", agent=agent.name, version=agent.version, minimum=agent.minimum)


def restarts(facts: Facts) -> Finding:
    """H2.10."""
    return worst(_restarts(agent) for agent in present(facts))


def _restarts(agent: Agent) -> Finding:
    unit = agent.unit
    if unit is None:
        return unknown("restart-unknown", agent=agent.name)
    if not unit.systemd:
        return warned("restart-not", "S-LIN-3", [unit.path], agent=agent.name, service=agent.service)
    evidence = ["{}: Restart={}".format(unit.path, unit.restart or "no")]
    if unit.restart in ("", "no"):
        return warned("restart-not", "S-LIN-3", evidence, agent=agent.name, service=agent.service)
    return passed("restart-set", evidence, agent=agent.name)


def ready(facts: Facts) -> Finding:
    """H2.13."""
    findings = []
    for agent in present(facts):
        if not need(agent.processes):
            findings.append(failed("ready-not-running", "S-LIN-2", agent=agent.name, service=agent.service))
        elif agent.name == qemu.PROGRAM:
            findings.append(_qemu_ready(facts, agent.service))
        else:
            findings.append(_azure_ready(facts, agent.service))
    return worst(findings)


def _qemu_ready(facts: Facts, service: str) -> Finding:
    agent = qemu_agent(facts)
    if not agent.port:
        return failed("port-missing", "S-AGENT-CHANNEL", [qemu.PORT], agent=qemu.PROGRAM)
    if agent.listens is None:
        return unknown("ready-hidden", agent=qemu.PROGRAM)
    if not agent.listens:
        return failed("ready-deaf", "S-AGENT-RESTART", [qemu.PORT], agent=qemu.PROGRAM, service=service)
    return passed("ready-listens", [qemu.PORT], agent=qemu.PROGRAM)


def _azure_ready(facts: Facts, service: str) -> Finding:
    report = azure_agent(facts).report
    if report is None:
        return unknown("ready-no-report")
    minutes = int(report.age_s // 60)
    if report.age_s > _REPORT_SECONDS:
        return failed("ready-stale", "S-AGENT-RESTART", [report.path], minutes=minutes, service=service)
    if not report.status:
        return unknown("ready-unreadable", [report.path])
    evidence = ["{}: {} {}".format(report.path, report.status, report.message)]
    if report.status != "Ready":
        return failed("ready-not", "S-AGENT-RESTART", evidence, status=report.status, service=service)
    return passed("ready", evidence, minutes=minutes)


def port(facts: Facts) -> Finding:
    """G2.1."""
    agent = qemu_agent(facts)
    if agent.port:
        return passed("port-there", [qemu.PORT])
    return failed("port-missing", "S-AGENT-CHANNEL", [qemu.PORT], agent=qemu.PROGRAM)


def commands(facts: Facts) -> Finding:
    """G2.2."""
    agent = qemu_agent(facts)
    if agent.program is None:
        raise NotApplicable(say("not-installed"))
    for wanted in (_FREEZE, _EXTENSION):
        blocked = [
            "{}: {}".format(rule.where, command)
            for rule in agent.rules
            for command in wanted
            if rule.blocks(command)
        ]
        if blocked and wanted is _FREEZE:
            return failed("commands-freeze", "S-AGENT-COMMANDS", blocked)
        if blocked:
            return warned("commands-extension", "S-AGENT-COMMANDS", blocked)
    return passed("commands-allowed")
