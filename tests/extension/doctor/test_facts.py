"""Sources of facts on files and outputs in the forms that systems write them."""

import time
from pathlib import Path

import pytest

from overwinter.extension.doctor.facts import (
    addresses,
    endpoint,
    handlers,
    processes,
    proxy,
    qemu_agent,
    system,
    units,
    updates,
    versions,
    waagent,
    waagent_conf,
)
from overwinter.extension.doctor.facts.snapshot import collect
from overwinter.extension.doctor.facts.source import Source
from overwinter.extension.doctor.machine import Machine
from overwinter.extension.doctor.text import Unknown, need
from tests.extension.doctor.trees import (
    AGENT_UNIT,
    CUSTOM,
    HOST,
    NOW,
    Tree,
    azure_vm,
    closed_port,
    kvm_guest,
)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_versions() -> None:
    assert versions.numbers("1:7.2+dfsg-7+deb12u18") == (7, 2)
    assert versions.numbers("v2.15.0.1") == (2, 15, 0, 1)
    assert versions.numbers("unknown") == ()
    assert versions.numbers("2.10") > versions.numbers("2.9.1")


def test_a_package_of_debian(tree: Tree) -> None:
    tree.write(
        "var/lib/dpkg/status",
        "Package: waagent\nStatus: deinstall ok config-files\nVersion: 2.2.45-4\n\n"
        "Package: qemu-guest-agent\nStatus: install ok installed\nDescription: agent\n with lines\n"
        "Version: 1:7.2+dfsg-7\n\n"
        "Package: walinuxagent\nStatus: install ok installed\nVersion: 2.9.1.1-1~deb\n",
    )
    machine = tree.machine()
    assert versions.in_debian(machine, "waagent") is None
    assert versions.in_debian(machine, "qemu-guest-agent") == "7.2"
    assert versions.in_debian(machine, "walinuxagent") == "2.9.1.1"
    assert versions.in_debian(machine, "bash") is None


def test_a_unit_with_drop_ins(tree: Tree) -> None:
    tree.write(AGENT_UNIT, "[Unit]\nConditionVirtualization=microsoft\n[Service]\nRestart=always\n")
    tree.write(
        "etc/systemd/system/walinuxagent.service.d/20-own.conf",
        '[Unit]\nConditionVirtualization=\n[Service]\nRestart = on-failure\nEnvironment="a=1" "b=2"\n',
    )
    tree.write("run/systemd/system/walinuxagent.service.d/20-own.conf", "[Service]\nRestart=no\n")
    unit = units.find(tree.machine(), ["walinuxagent", "waagent"])
    assert unit is not None
    assert (unit.restart, unit.condition, unit.masked) == ("on-failure", "", False)
    assert unit.environment == ('"a=1" "b=2"',)


def test_a_service_of_system_v(tree: Tree) -> None:
    assert units.find(tree.machine(), ["waagent"]) is None
    tree.write("etc/init.d/waagent", "#!/bin/sh\n")
    unit = units.find(tree.machine(), ["walinuxagent", "waagent"])
    assert unit is not None and not unit.systemd


def test_processes_with_odd_names(tree: Tree) -> None:
    tree.process(1, "init", "/sbin/init")
    tree.process(5, "a) S (b", "tool")
    tree.process(6, "qemu-ga", "qemu-ga", state="Z")
    tree.write("proc/7/stat", "garbage")
    tree.write("proc/7/cmdline", "")
    found = processes.read(tree.machine())
    assert [(process.pid, process.name, process.alive) for process in found] == [
        (1, "init", True),
        (5, "a) S (b", True),
        (6, "qemu-ga", False),
    ]


def test_who_reads_an_agent_is_none(tree: Tree) -> None:
    azure_vm(tree)
    tree.process(900, "vim", "vim", "/usr/sbin/waagent")
    tree.process(901, "grep", "grep", "qemu-ga", "-daemon")
    tree.process(902, "waagent", "/usr/bin/python3", "/usr/sbin/waagent", "-version")
    found = processes.read(tree.machine())
    assert [process.pid for process in found if waagent.is_agent(process)] == [700, 701]
    assert not [process for process in found if qemu_agent.is_agent(process)]


def test_processes_that_cannot_be_seen(tree: Tree) -> None:
    with pytest.raises(ValueError, match="no processes"):
        processes.read(tree.machine())


def test_an_agent_that_updated_itself(tree: Tree) -> None:
    azure_vm(tree)
    tree.process(701, "python3", "python3", "-u", "bin/WALinuxAgent-2.11.1.12-py3.8.egg", "-run-exthandlers")
    tree.report(version="2.11.1.12")
    assert [p.pid for p in processes.read(tree.machine()) if waagent.is_agent(p)] == [700, 701]
    assert waagent.read(tree.machine()).version == "2.11.1.12"


def test_the_version_of_an_agent_that_has_not_reported(tree: Tree) -> None:
    azure_vm(tree)
    tree.remove("var/lib/waagent/waagent_status.7.json")
    tree.program("waagent", "echo 'WALinuxAgent-2.2.54.2 running on debian 11'\n")
    assert waagent.read(tree.machine()).version == "2.2.54.2"
    path = "usr/lib/python3/dist-packages/azurelinuxagent/common/version.py"
    tree.write(path, "import os\nAGENT_VERSION = '2.7.3.0'\n")
    assert waagent.read(tree.machine()).version == "2.7.3.0"


@pytest.mark.parametrize("content", ["", "{", "[" * 100_000, "[]", '{"aggregateStatus": 7}', "null"])
def test_a_report_that_makes_no_sense_has_no_status(tree: Tree, content: str) -> None:
    azure_vm(tree)
    tree.write("var/lib/waagent/waagent_status.7.json", content, age_s=60)
    report = waagent.read(tree.machine()).report
    assert report is not None
    assert (report.status, report.age_s) == ("", 60)


def test_the_newest_report_counts(tree: Tree) -> None:
    azure_vm(tree)
    tree.report("NotReady", age_s=500)
    newer = '{"aggregateStatus": {"guestAgentStatus": {"status": "Ready", "version": "2.9.1.1"}}}'
    tree.write("var/lib/waagent/history/2026-11-21_2/waagent_status.json", newer, age_s=5)
    report = waagent.read(tree.machine()).report
    assert report is not None
    assert (report.status, report.version, report.age_s) == ("Ready", "2.9.1.1", 5)


def test_options_of_the_agent() -> None:
    options = waagent_conf.Options(
        waagent_conf.parse("# a\nExtensions.Enabled = y # yes\nHttpProxy.Host=None\nX='z'\nnonsense\n"), False
    )
    assert options.get("extensions.enabled") == "y"
    assert options.get("HttpProxy.Host") is None
    assert options.get("Nothing", "X") == "z"


@pytest.mark.parametrize(
    ("arguments", "blocked"),
    [
        ("--block-rpcs=guest-exec,guest-file-open", {"guest-exec", "guest-file-open"}),
        ("-d -b guest-exec -l /var/log/x", {"guest-exec"}),
        ("--blacklist=guest-exec", {"guest-exec"}),
        ("-a guest-ping,guest-exec", {"guest-file-open"}),
        ("--daemonize -m virtio-serial -p /dev/virtio-ports/org.qemu.guest_agent.0", set()),
    ],
)
def test_commands_that_arguments_block(arguments: str, blocked: set[str]) -> None:
    rules = qemu_agent.rules_in("x", arguments)
    wanted = ("guest-exec", "guest-file-open")
    assert {c for c in wanted for rule in rules if rule.blocks(c)} == blocked


def test_the_defaults_count_while_nothing_runs(tree: Tree) -> None:
    kvm_guest(tree)
    tree.write(
        "etc/sysconfig/qemu-ga", "# x\nBLACKLIST_RPC=guest-exec,guest-file-open\nFSFREEZE_HOOK_ENABLE=0\n"
    )
    tree.write("etc/default/qemu-guest-agent", 'DAEMON_ARGS="-v --allow-rpcs=guest-ping"\n')
    machine = tree.machine()
    assert qemu_agent.read(machine, [p for p in processes.read(machine) if p.name == "qemu-ga"]).rules == ()
    rules = qemu_agent.read(machine, ()).rules
    assert {rule.where for rule in rules if rule.blocks("guest-exec")} == {
        "/etc/sysconfig/qemu-ga",
        "/etc/default/qemu-guest-agent",
    }


def test_a_broken_configuration_is_unknown(tree: Tree) -> None:
    kvm_guest(tree)
    tree.write("etc/qemu/qemu-ga.conf", "block-rpcs=guest-exec\n")
    with pytest.raises(ValueError, match=r"qemu-ga\.conf"):
        qemu_agent.read(tree.machine(), ())


def test_the_newest_version_of_an_extension_counts(tree: Tree) -> None:
    tree.extension(CUSTOM.replace("2.1.10", "2.1.9"), code=1, status="error")
    tree.extension(CUSTOM, code=0)
    tree.write("var/lib/waagent/WALinuxAgent-2.9.1.1/HandlerManifest.json", "[]")
    tree.write("var/lib/waagent/history/x", "")
    (handler,) = handlers.read(tree.machine())
    assert (handler.version, handler.own.status if handler.own else None) == ("2.1.10", "success")


@pytest.mark.parametrize("content", ["", "{}", "[]", "[1]", '[{"status": 1}]', "[" * 50_000])
def test_a_status_that_makes_no_sense_is_named(tree: Tree, content: str) -> None:
    tree.extension(CUSTOM, code=0)
    path = tree.write(f"var/lib/waagent/{CUSTOM}/status/99.status", content)
    (handler,) = handlers.read(tree.machine())
    assert handler.unreadable == "/" + str(path.relative_to(tree.root))


def test_leases_of_two_interfaces_in_one_file(tree: Tree) -> None:
    """The last one of each counts; times are written in two forms."""

    def lease(interface: str, more: str) -> str:
        return f'lease {{\n  interface "{interface}";\n  {more}\n}}\n'

    tree.write(
        "var/lib/dhclient/dhclient.leases",
        lease("eth0", "option unknown-245 1:2:3:4; expire epoch 1;")
        + lease("eth0", f"option unknown-245 a8:3f:81:10; expire epoch {int(NOW) + 9}; # later")
        + lease("eth1", "expire 2 2020/01/01 00:00:00;")
        + lease("eth2", "expire never;"),
    )
    found = addresses.read(tree.machine()).leases
    assert [(each.host, each.expired) for each in found] == [
        (endpoint.WELL_KNOWN, False),
        (None, True),
        (None, False),
    ]


def test_routes_and_configured_addresses(tree: Tree) -> None:
    header = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
    tree.write(
        "proc/net/route",
        header
        + "eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
        + "eth0\t10813FA8\t0100000A\t0007\t0\t0\t100\tFFFFFFFF\t0\t0\t0\n"
        + "eth0\t0000000A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n",
    )
    tree.write("etc/netplan/50-cloud.yaml", "network:\n ethernets:\n  eth0:\n   dhcp4: true\n")
    tree.write("etc/systemd/network/10.network", "[Network]\nDHCP=ipv6\nAddress=10.0.0.4/24\n")
    tree.write(
        "etc/NetworkManager/system-connections/a", "[connection]\ntype=ethernet\n[ipv4]\nmethod=auto\n"
    )
    tree.write("etc/sysconfig/network-scripts/ifcfg-eth0", 'BOOTPROTO="none"\nIPADDR=10.0.0.4\n')
    tree.write("etc/sysconfig/network-scripts/ifcfg-lo", "BOOTPROTO=static\n")
    tree.write("etc/network/interfaces", "iface lo inet loopback\niface eth0 inet dhcp\n")
    found = addresses.read(tree.machine())
    assert set(found.routes) == {"10.0.0.1", endpoint.WELL_KNOWN}
    assert [line.split(":")[0] for line in found.dynamic] == [
        "/etc/network/interfaces",
        "/etc/netplan/50-cloud.yaml",
        "/etc/NetworkManager/system-connections/a",
    ]
    assert [line.split(":")[0] for line in found.static] == [
        "/etc/systemd/network/10.network",
        "/etc/sysconfig/network-scripts/ifcfg-eth0",
    ]


def test_proxies_of_every_place(tree: Tree) -> None:
    azure_vm(tree)
    tree.edit(AGENT_UNIT, "Restart=always", 'Environment="HTTPS_PROXY=http://unit:1" NO_PROXY=a,b')
    tree.write("etc/environment", 'export http_proxy="http://env:2"\n# all_proxy=http://no:3\n')
    tree.write("proc/700/environ", "PATH=/bin\0http_proxy=http://process:4\0no_proxy=\0")
    tree.edit("etc/waagent.conf", "HttpProxy.Host=None", "HttpProxy.Host=conf\nHttpProxy.Port=5")
    machine = tree.machine()
    options = waagent_conf.read(machine)
    agents = [p for p in processes.read(machine) if waagent.is_agent(p)]
    found = proxy.read(machine, options, waagent.read(machine).unit, agents)
    assert [each.url for each in found.set] == ["conf:5", "http://env:2", "http://unit:1", "http://process:4"]
    assert found.exempt == ("a", "b")


def test_updates_of_dnf(tree: Tree) -> None:
    machine = Machine(str(tree.root), [str(tree.programs)], NOW)
    with pytest.raises(ValueError, match="no package manager"):
        updates.updates(machine)
    listed = "\\nkernel.x86_64   4.18.0-553   baseos\\npython3-libs.x86_64  3.6.8-62   baseos\\n"
    tree.program("dnf", f"printf '{listed}Obsoleting Packages\\nold.noarch  1  repo\\n'; exit 100\n")
    assert updates.updates(machine) == ("kernel", "python3-libs")
    tree.program("dnf", "exit 0\n")
    assert updates.updates(machine) == ()
    tree.program("dnf", "exit 1\n")
    with pytest.raises(ValueError, match="ended with 1"):
        updates.updates(machine)


def test_updates_of_apt_need_lists(tree: Tree) -> None:
    kvm_guest(tree)
    assert updates.updates(tree.machine()) == ()
    for path in (tree.root / "var/lib/apt/lists").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="never fetched"):
        updates.updates(tree.machine())


@pytest.mark.parametrize(
    ("running", "installed", "waits"),
    [
        ("6.1.0-18-amd64", ["6.1.0-18-amd64", "6.1.0-13-amd64"], False),
        ("6.1.0-9-amd64", ["6.1.0-9-amd64", "6.1.0-18-amd64"], True),
        ("6.1.0-9-amd64", ["6.1.0-9-amd64", "6.1.0-18-cloud-amd64"], False),
        ("4.18.0-553.el8_10.x86_64", ["4.18.0-553.el8_10.x86_64", "4.18.0-553.5.1.el8_10.x86_64"], True),
        ("4.18.0-80.el8.x86_64", ["4.18.0-80.el8.x86_64", "4.18.0-553.el8_10.x86_64"], True),
        ("6.1.0-9-amd64", ["6.1.0-18-amd64"], True),
        ("6.1.0-9-amd64", [], False),
    ],
)
def test_newer_kernels(tree: Tree, running: str, installed: list[str], waits: bool) -> None:
    tree.write("proc/sys/kernel/osrelease", running + "\n")
    for kernel in installed:
        tree.write(f"lib/modules/{kernel}/modules.dep", "")
    assert bool(updates.reboot(tree.machine()).reasons) == waits


def test_the_system(tree: Tree) -> None:
    tree.write("usr/lib/os-release", "NAME='Odd\nID=sles\nVERSION_ID=15.5\n")
    tree.write("etc/hostname", "web\n")
    found = system.read(tree.machine())
    assert (found.id, found.version, found.hostname, found.platform, found.bits) == (
        "sles",
        "15.5",
        "web",
        "other",
        None,
    )


def test_a_host_that_does_not_answer() -> None:
    probe = endpoint.probe(HOST, closed_port())
    assert probe.outcome == endpoint.REFUSED
    assert endpoint.probe("256.1.1.1", 80).outcome == endpoint.UNREACHABLE


def test_stores_come_from_the_last_goal_state(tree: Tree) -> None:
    azure_vm(tree)
    urls = f"http://127.0.0.1:{closed_port()}/x?sig=secret http://[broken https://"
    tree.write("var/lib/waagent/ExtensionsConfig.1.xml", f"<Uri>{urls}</Uri>")
    found = endpoint.read(tree.machine(), HOST, (closed_port(), closed_port(), closed_port()))
    assert found.stores is not None
    assert [(store.address, store.outcome) for store in found.stores] == [(HOST, endpoint.REFUSED)]


def test_the_host_that_the_agent_found_counts(tree: Tree) -> None:
    assert endpoint.address_of(tree.machine()) == endpoint.WELL_KNOWN
    tree.write("var/lib/waagent/WireServerEndpoint", "10.1.2.3\n")
    assert endpoint.address_of(tree.machine()) == "10.1.2.3"


def test_a_source_that_hangs_holds_up_nobody() -> None:
    source = Source(lambda: time.sleep(1000))
    fact = source.fact(time.monotonic() + 0.1)
    assert isinstance(fact, Unknown) and fact.reason.key == "unknown-slow"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_source_that_fails_says_why() -> None:
    def fail(error: Exception) -> Unknown:
        def read() -> None:
            raise error

        fact = Source(read).fact(time.monotonic() + 60)
        assert isinstance(fact, Unknown)
        return fact

    assert fail(PermissionError(13, "denied", "/x")).reason.values == {"path": "/x"}
    assert fail(ValueError("odd")).reason.values == {"error": "odd"}
    assert fail(ZeroDivisionError()).reason.key == "unknown-defect"


def test_a_copy_connects_to_nothing_unless_told(tree: Tree) -> None:
    azure_vm(tree)
    facts = collect(tree.machine(), None, (80, 443, 32526))
    assert isinstance(facts.endpoint, Unknown)
    assert facts.endpoint.reason.key == "unknown-from-outside"
    assert facts.address == HOST
    closed = closed_port()
    assert need(tree.facts(HOST, (closed, closed, closed)).endpoint).wire.outcome == endpoint.REFUSED
