"""Every check passes on a fact set in which all is well, and tells of one in which its subject is not."""

from collections.abc import Callable

import pytest

from overwinter.extension.doctor.checks import catalogue
from overwinter.extension.doctor.checks.catalogue import CHECKS, WINDOWS, Check
from overwinter.extension.doctor.checks.finding import FAIL, PASS, UNKNOWN, WARN
from overwinter.extension.doctor.facts import windows
from overwinter.extension.doctor.facts.addresses import Addresses
from overwinter.extension.doctor.facts.endpoint import REFUSED, SILENT, Probe
from overwinter.extension.doctor.facts.proxy import Proxies, Proxy
from overwinter.extension.doctor.facts.qemu_agent import rules_in
from overwinter.extension.doctor.facts.scripts import Scripts
from overwinter.extension.doctor.facts.snapshot import Facts
from overwinter.extension.doctor.facts.space import Space
from overwinter.extension.doctor.facts.updates import Reboot
from overwinter.extension.doctor.facts.windows import Service
from overwinter.extension.doctor.facts.windows_outputs import Writer
from overwinter.extension.doctor.text import Unknown, need, say
from overwinter.extension.script_config import ScriptCode, ScriptProblem
from tests.extension.doctor.trees import HOST, Tree, azure_vm, kvm_guest, listening

Change = Callable[[Facts], Facts]

SERVICES = {
    windows.AZURE_AGENT: Service(True, "LocalSystem"),
    windows.COM: Service(True, "LocalSystem"),
    windows.MSDTC: Service(True, "NT AUTHORITY\\NetworkService"),
    windows.VSS: Service(False, "LocalSystem"),
}


def agent(facts: Facts, **changes: object) -> Facts:
    return facts._replace(waagent=need(facts.waagent)._replace(**changes))  # type: ignore[arg-type]


def qemu(facts: Facts, **changes: object) -> Facts:
    return facts._replace(qemu_agent=need(facts.qemu_agent)._replace(**changes))  # type: ignore[arg-type]


def options(facts: Facts, text: str) -> Facts:
    name, value = text.split("=")
    known = need(facts.options)
    return facts._replace(options=known._replace(values={**(known.values or {}), name.lower(): value}))


def first_handler(facts: Facts, place: int, **changes: object) -> Facts:
    handlers = list(need(facts.handlers))
    handlers[place] = handlers[place]._replace(**changes)  # type: ignore[arg-type]
    return facts._replace(handlers=tuple(handlers))


def port(facts: Facts, name: str, outcome: str = REFUSED) -> Facts:
    probe = Probe(HOST, 1, outcome, "closed")
    return facts._replace(endpoint=need(facts.endpoint)._replace(**{name: probe}))  # type: ignore[arg-type]


def without_service(name: str) -> Change:
    return lambda facts: facts._replace(
        services={key: value for key, value in need(facts.services).items() if key != name}
    )


def with_addresses(facts: Facts, **changes: object) -> Facts:
    return facts._replace(addresses=need(facts.addresses)._replace(**changes))  # type: ignore[arg-type]


#: By check: what is changed in a healthy machine so that the check has something to tell.
TELLING: dict[str, Change] = {
    "H1.2": lambda facts: facts._replace(updates=("bash",)),
    "H1.3": lambda facts: facts._replace(reboot=Reboot(("a new kernel",))),
    "H2.1": without_service(windows.AZURE_AGENT),
    "H2.3": without_service(windows.AZURE_AGENT),
    "H2.5": lambda facts: facts._replace(processes=()),
    "H2.6": lambda facts: agent(facts, version="2.2.45"),
    "H2.7": lambda facts: agent(facts, interpreter=need(facts.waagent).interpreter._replace(version=(2, 5))),  # type: ignore[union-attr]
    "H2.8": lambda facts: facts._replace(system=need(facts.system)._replace(id="flatcar")),
    "H2.9": lambda facts: facts._replace(dotnet=None),
    "H2.10": lambda facts: agent(facts, unit=need(facts.waagent).unit._replace(restart="no")),  # type: ignore[union-attr]
    "H2.11": lambda facts: options(facts, "Extensions.Enabled=n"),
    "H2.12": lambda facts: options(facts, "Provisioning.Agent=disabled"),
    "H2.13": lambda facts: agent(facts, report=need(facts.waagent).report._replace(status="NotReady")),  # type: ignore[union-attr]
    "G2.1": lambda facts: qemu(facts, port=False),
    "G2.2": lambda facts: qemu(facts, rules=tuple(rules_in("x", "--allow-rpcs=guest-ping"))),
    "H3.1": lambda facts: first_handler(facts, 0, state="FailedUpgrade"),
    "H3.2": without_service(windows.COM),
    "H3.3": lambda facts: facts._replace(services={**SERVICES, windows.MSDTC: Service(True, "LocalSystem")}),
    "H4.1": lambda facts: first_handler(facts, 1, own=need(facts.handlers)[1].own._replace(code="2")),  # type: ignore[union-attr]
    "H4.2": lambda facts: facts._replace(faults=("2026-11-21T09:00:00",)),
    "H4.5": lambda facts: port(facts, "plugin")._replace(
        endpoint=need(port(facts, "plugin").endpoint)._replace(stores=(Probe("s", 443, SILENT, "no answer"),))
    ),
    "H4.6": lambda facts: agent(facts, version="2.2.45")._replace(
        endpoint=need(facts.endpoint)._replace(stores=(Probe("s", 443, SILENT, "no answer"),))
    ),
    "H4.7": lambda facts: port(facts, "wire"),
    "H4.8": lambda facts: port(facts, "https", SILENT),
    "H4.9": lambda facts: port(facts, "plugin"),
    "H4.10": lambda facts: facts._replace(addresses=Addresses((), ("static",), (), ())),
    "H4.11": lambda facts: with_addresses(
        facts, leases=tuple(lease._replace(host=None) for lease in need(facts.addresses).leases)
    ),
    "H4.12": lambda facts: facts._replace(writers=(Writer("SqlServerWriter", 8, "Failed"),)),
    "G4.1": lambda facts: facts._replace(
        scripts=Scripts((), ScriptProblem(ScriptCode.PRE_PERMISSION, "has mode 777"))
    ),
    "G4.2": lambda facts: facts._replace(
        file_systems=need(facts.file_systems)._replace(doubled=(("/data", "/backup"),))
    ),
    "G4.3": lambda facts: facts._replace(space=(Space("/", 0, 1000),)),
    "G4.4": lambda facts: facts._replace(proxies=Proxies((Proxy("x", "http_proxy", "http://p"),), ())),
}


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Facts]:
    found = {}
    with listening(3) as ports:
        for name, build in (("azure", azure_vm), ("kvm", kvm_guest)):
            tree = Tree(tmp_path_factory.mktemp(name))
            build(tree)
            found[name] = tree.facts(HOST, ports)._replace(scripts=Scripts(("/pre", "/post"), None))
    azure = found["azure"]
    found[WINDOWS] = azure._replace(
        windows=True,
        services=SERVICES,
        dotnet=528040,
        writers=(Writer("System Writer", 1, "Stable"),),
        faults=(),
    )
    return found


def facts_for(check: Check, healthy: dict[str, Facts]) -> Facts:
    if check.system == WINDOWS:
        return healthy[WINDOWS]
    return healthy["kvm" if check.id.startswith("G2.") else "azure"]


def test_no_check_lacks_a_set() -> None:
    assert sorted(TELLING) == sorted(check.id for check in CHECKS)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_a_check_passes_and_tells(check: Check, healthy: dict[str, Facts]) -> None:
    facts = facts_for(check, healthy)
    assert check.rule(facts).status == PASS
    finding = check.rule(TELLING[check.id](facts))
    assert finding.status in (WARN, FAIL)
    assert finding.remedy


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_a_check_that_has_no_facts_does_not_guess(check: Check, healthy: dict[str, Facts]) -> None:
    unknown = Unknown(say("unknown-slow"))
    facts = facts_for(check, healthy)
    nothing = facts._replace(**{f: unknown for f in Facts._fields if f not in ("windows", "address")})  # type: ignore[arg-type]
    results = {result.check.id: result for result in catalogue.examine(nothing)}
    finding = results[check.id].finding
    assert finding is not None
    assert finding.status == UNKNOWN
    assert finding.reason.key == "unknown-slow"


def test_checks_are_in_the_order_of_the_guide() -> None:
    assert [check.step for check in CHECKS] == sorted(check.step for check in CHECKS)
    assert len({check.id for check in CHECKS}) == len(CHECKS)
