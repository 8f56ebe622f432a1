"""Step 4, the way to the host: does it answer, and how does the guest know where it is?

Only Azure's agent goes this way; QEMU's has a channel of its own. Python 3.6, standard library only.
"""

from overwinter.extension.doctor.checks.expected import AZURE_MINIMUM, azure_agent
from overwinter.extension.doctor.checks.finding import Finding, NotApplicable, failed, passed, unknown, warned
from overwinter.extension.doctor.facts.addresses import Addresses
from overwinter.extension.doctor.facts.endpoint import OPEN, REFUSED, Endpoint, Probe
from overwinter.extension.doctor.facts.snapshot import Facts
from overwinter.extension.doctor.facts.versions import numbers
from overwinter.extension.doctor.text import need, say


def _endpoint(facts: Facts) -> Endpoint:
    """Raises NotApplicable, NotKnown."""
    if not facts.windows:
        azure_agent(facts)
    return need(facts.endpoint)


def wire_server(facts: Facts) -> Finding:
    """H4.7."""
    return _answers(_endpoint(facts).wire)


def https(facts: Facts) -> Finding:
    """H4.8.

    Agents of today never use it: when nothing listens there but the host answers, nothing is blocked.
    """
    endpoint = _endpoint(facts)
    port = endpoint.https
    if port.outcome == OPEN or endpoint.wire.outcome != OPEN:
        return _answers(port)
    if port.outcome == REFUSED:
        return passed("port-unused", [port.evidence], port=port.port)
    return warned("port-blocked", "S-NET-5", [port.evidence], port=port.port)


def host_plugin(facts: Facts) -> Finding:
    """H4.9."""
    return _answers(_endpoint(facts).plugin)


def _answers(probe: Probe) -> Finding:
    if probe.outcome == OPEN:
        return passed("port-open", [probe.evidence], port=probe.port)
    return failed("port-closed", "S-NET-5", [probe.evidence], port=probe.port, address=probe.address)


def packages(facts: Facts) -> Finding:
    """H4.5. The host's plug-in passes on what an agent cannot fetch or send itself."""
    endpoint = _endpoint(facts)
    if endpoint.plugin.outcome == OPEN:
        return passed("store-by-host", [endpoint.plugin.evidence])
    return _stores(endpoint)


def old_agent(facts: Facts) -> Finding:
    """H4.6. An agent that Azure no longer supports does not go through the host."""
    agent = azure_agent(facts)
    if agent.program is None:
        raise NotApplicable(say("not-installed"))
    if agent.version is not None and numbers(agent.version) >= numbers(AZURE_MINIMUM):
        return passed("store-agent-supported", version=agent.version)
    return _stores(need(facts.endpoint))


def _stores(endpoint: Endpoint) -> Finding:
    if endpoint.stores is None:
        return unknown("store-unknown")
    evidence = [probe.evidence for probe in endpoint.stores]
    if all(probe.outcome == OPEN for probe in endpoint.stores):
        return passed("store-open", evidence)
    return failed("store-closed", "S-NET-STORE", evidence)


def dhcp(facts: Facts) -> Finding:
    """H4.10."""
    azure_agent(facts)
    addresses = need(facts.addresses)
    fixed = addresses.static and not addresses.dynamic
    live = [lease for lease in addresses.leases if not lease.expired]
    paths = [lease.path for lease in live]
    if live and fixed and not any(lease.in_use for lease in live):
        return unknown("dhcp-conflict", paths + list(addresses.static))
    if live:
        return passed("dhcp-on", paths)
    if fixed:
        return failed("dhcp-off", "S-SNAP-2", addresses.static)
    if addresses.dynamic:
        return failed("dhcp-no-lease", "S-DHCP-SERVER", addresses.dynamic)
    return unknown("dhcp-unknown")


def option_245(facts: Facts) -> Finding:
    """H4.11. A route of its own to the host does as well: the agent looks there first."""
    azure_agent(facts)
    addresses = need(facts.addresses)
    live = [lease for lease in addresses.leases if not lease.expired]
    told = [lease for lease in live if lease.host is not None]
    if told:
        return passed("option-there", [told[0].path], address=told[0].host)
    if facts.address in addresses.routes:
        return passed("option-by-route", address=facts.address)
    if live:
        return failed("option-missing", "S-DHCP-OPTION", [lease.path for lease in live])
    return _without_lease(addresses)


def _without_lease(addresses: Addresses) -> Finding:
    if addresses.static or addresses.dynamic:
        return failed("option-no-lease", "S-SNAP-2", addresses.static + addresses.dynamic)
    return unknown("dhcp-unknown")


def proxies(facts: Facts) -> Finding:
    """G4.4."""
    azure_agent(facts)
    found = need(facts.proxies)
    evidence = ["{}: {}={}".format(proxy.where, proxy.name, proxy.url) for proxy in found.set]
    if not found.set:
        return passed("proxy-none")
    with_password = [line for line in evidence if "@" in line]
    if with_password:
        return failed("proxy-password", "S-PROXY-OPEN", with_password)
    if facts.address not in found.exempt and "*" not in found.exempt:
        return warned("proxy-host", "S-PROXY-EXEMPT", evidence, address=facts.address)
    return passed("proxy-exempt", evidence, address=facts.address)
