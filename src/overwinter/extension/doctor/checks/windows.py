"""Checks that only a Windows guest has. Python 3.6, standard library only."""

from overwinter.extension.doctor.checks.finding import Finding, failed, passed
from overwinter.extension.doctor.facts.snapshot import Facts
from overwinter.extension.doctor.facts.windows import AZURE_AGENT, COM, MSDTC, QEMU_AGENT, VSS
from overwinter.extension.doctor.text import need

#: The number that .NET Framework 4.5 has in the registry.
_DOTNET_45 = 378389

_NETWORK_SERVICE = "networkservice"

_STABLE = 1


def agent_running(facts: Facts) -> Finding:
    """H2.1."""
    services = need(facts.services)
    there = [name for name in (AZURE_AGENT, QEMU_AGENT) if name in services]
    stopped = [name for name in there if not services[name].running]
    if stopped or not there:
        return failed("service-stopped", "S-WIN-1", stopped, service=", ".join(stopped) or AZURE_AGENT)
    return passed("service-runs", there, service=", ".join(there))


def agent_installed(facts: Facts) -> Finding:
    """H2.3."""
    there = [name for name in (AZURE_AGENT, QEMU_AGENT) if name in need(facts.services)]
    return passed("service-there", there) if there else failed("agent-none", "S-WIN-4")


def dotnet(facts: Facts) -> Finding:
    """H2.9."""
    release = need(facts.dotnet)
    if release is None or release < _DOTNET_45:
        return failed("dotnet-old", "S-WIN-6", ["Release={}".format(release)])
    return passed("dotnet-there", ["Release={}".format(release)])


def com(facts: Facts) -> Finding:
    """H3.2."""
    service = need(facts.services).get(COM)
    if service is None or not service.running:
        return failed("service-stopped", "S-COM", service=COM)
    return passed("service-runs", service=COM)


def transactions(facts: Facts) -> Finding:
    """H3.3."""
    service = need(facts.services).get(MSDTC)
    if service is None or not service.running:
        return failed("service-stopped", "S-MSDTC", service=MSDTC)
    if not service.account.replace(" ", "").lower().endswith(_NETWORK_SERVICE):
        return failed("service-account", "S-MSDTC", [service.account], service=MSDTC)
    return passed("service-runs", [service.account], service=MSDTC)


def faults(facts: Facts) -> Finding:
    """H4.2."""
    times = need(facts.faults)
    return failed("program-crashed", "S-ANTIVIRUS", times) if times else passed("program-sound")


def vss(facts: Facts) -> Finding:
    """H4.12. The service itself starts when it is needed; that it is not there at all is what counts."""
    if VSS not in need(facts.services):
        return failed("service-stopped", "S-VSS", service=VSS)
    writers = need(facts.writers)
    bad = [
        "{}: [{}] {}".format(each.name, each.state, each.words) for each in writers if each.state != _STABLE
    ]
    return failed("writers-bad", "S-VSS", bad) if bad else passed("writers-stable", number=len(writers))
