"""Step 2, the guest agent: what Azure's agent rests on, its system, its Python and its options.

Python 3.6, standard library only.
"""

from overwinter.extension.doctor.checks.expected import azure_agent
from overwinter.extension.doctor.checks.finding import Finding, NotApplicable, failed, passed, unknown, warned
from overwinter.extension.doctor.facts.snapshot import Facts
from overwinter.extension.doctor.facts.system import AZURE
from overwinter.extension.doctor.facts.versions import numbers
from overwinter.extension.doctor.facts.waagent import WaAgent
from overwinter.extension.doctor.facts.waagent_conf import PATH, Options
from overwinter.extension.doctor.text import need, say

#: The agent itself asks for no more.
_PYTHON_MINIMUM = (2, 6)

#: Distributions that Azure supports, by ``ID`` of os-release, with the first version.
_SYSTEMS = {
    "almalinux": "8",
    "azurelinux": "3",
    "centos": "6.3",
    "debian": "8",
    "mariner": "2",
    "ol": "6.4",
    "opensuse-leap": "42.2",
    "rhel": "6.7",
    "rocky": "8",
    "sles": "11",
    "ubuntu": "12.04",
}

#: A system made of containers, in which the extension cannot be installed.
_UNSUPPORTED = ("coreos", "flatcar")

_YES = ("y", "yes", "true")


def _installed(facts: Facts) -> WaAgent:
    """Raises NotApplicable, NotKnown."""
    agent = azure_agent(facts)
    if agent.program is None:
        raise NotApplicable(say("not-installed"))
    return agent


def python(facts: Facts) -> Finding:
    """H2.7."""
    interpreter = _installed(facts).interpreter
    if interpreter is None:
        return unknown("python-unknown")
    if interpreter.version is None:
        return failed("python-missing", "S-PYTHON", [interpreter.path])
    words = "{}.{}".format(*interpreter.version)
    if interpreter.version < _PYTHON_MINIMUM:
        return failed("python-old", "S-PYTHON", [interpreter.path], version=words)
    return passed("python-there", [interpreter.path], version=words)


def system(facts: Facts) -> Finding:
    """H2.8."""
    azure_agent(facts)
    known = need(facts.system)
    if known.bits == 32:
        return failed("system-32", "S-SYSTEM", [known.name])
    if known.id in _UNSUPPORTED:
        return failed("system-unsupported", "S-SYSTEM", [known.name])
    if not known.id:
        return unknown("system-unknown")
    first = _SYSTEMS.get(known.id)
    if first is None or numbers(known.version) < numbers(first):
        return warned("system-unlisted", "S-SYSTEM", [known.name])
    return passed("system-listed", [known.name])


def _options(facts: Facts) -> Options:
    """Raises NotApplicable, NotKnown."""
    _installed(facts)
    return need(facts.options)


def extensions_enabled(facts: Facts) -> Finding:
    """H2.11. The agent's own word is ``Extensions.Enabled``; the guide spells it without the last letter."""
    options = _options(facts)
    if options.values is None:
        return failed("options-missing", "S-CONF-FILE", [PATH])
    value = options.get("Extensions.Enabled", "Extensions.Enable")
    if value is None:
        return passed("extensions-default", [PATH])
    evidence = ["{}: Extensions.Enabled={}".format(PATH, value)]
    if value.lower() in _YES:
        return passed("extensions-enabled", evidence)
    return failed("extensions-disabled", "S-CONF-1", evidence)


def provisioning(facts: Facts) -> Finding:
    """H2.12.

    The guide wants ``auto``. An agent that is named instead of it is as good once provisioning is behind
    it; and there is nothing to provision from on a platform that is not Azure.
    """
    options = _options(facts)
    if options.values is None:
        return failed("options-missing", "S-CONF-FILE", [PATH])
    value = options.get("Provisioning.Agent")
    older = options.get("Provisioning.Enabled")
    evidence = [
        "{}: {}={}".format(PATH, name, given)
        for name, given in (("Provisioning.Agent", value), ("Provisioning.Enabled", older))
        if given is not None
    ]
    chosen = value.lower() if value is not None else ("disabled" if older == "n" else "auto")
    if chosen == "auto":
        return passed("provisioning-auto", evidence or [PATH])
    if chosen in ("cloud-init", "waagent"):
        if options.provisioned:
            return passed("provisioning-done", evidence, agent=chosen)
        return warned("provisioning-named", "S-CONF-2", evidence, agent=chosen)
    if need(facts.system).platform != AZURE:
        return passed("provisioning-elsewhere", evidence)
    return failed("provisioning-off", "S-CONF-2", evidence)
