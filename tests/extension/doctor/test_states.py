"""Machines in known states: every check of each has exactly the result that belongs to it."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from overwinter.extension.doctor.checks.catalogue import Result, examine
from overwinter.extension.doctor.diagnosis import diagnose
from tests.extension.doctor.trees import (
    AGENT_UNIT,
    AZURE_TAG,
    CUSTOM,
    DHCP_LEASE,
    HOST,
    LEASE,
    MOUNTS,
    OPTION_245,
    QEMU_UNIT,
    SNAPSHOT,
    Tree,
    azure_vm,
    closed_port,
    kvm_guest,
    listening,
)

Results = dict[str, str]

HEALTHY_AZURE = {
    "H1.2": "pass updates-none",
    "H1.3": "pass reboot-none",
    "H2.5": "pass agent-runs",
    "H2.6": "pass agent-supported",
    "H2.7": "pass python-there",
    "H2.8": "pass system-listed",
    "H2.10": "pass restart-set",
    "H2.11": "pass extensions-enabled",
    "H2.12": "pass provisioning-auto",
    "H2.13": "pass ready",
    "G2.1": "- not-qemu",
    "G2.2": "- not-qemu",
    "H3.1": "pass extensions-ready",
    "H4.1": "pass snapshot-ended-well",
    "H4.5": "pass store-by-host",
    "H4.6": "pass store-agent-supported",
    "H4.7": "pass port-open",
    "H4.8": "pass port-open",
    "H4.9": "pass port-open",
    "H4.10": "pass dhcp-on",
    "H4.11": "pass option-there",
    "G4.1": "- no-scripts",
    "G4.2": "pass mounts-freezable",
    "G4.3": "pass room-enough",
    "G4.4": "pass proxy-none",
}

HEALTHY_KVM = {
    "H1.2": "pass updates-none",
    "H1.3": "pass reboot-none",
    "H2.5": "pass agent-runs",
    "H2.6": "pass agent-supported",
    "H2.7": "- not-azure",
    "H2.8": "- not-azure",
    "H2.10": "pass restart-set",
    "H2.11": "- not-azure",
    "H2.12": "- not-azure",
    "H2.13": "pass ready-listens",
    "G2.1": "pass port-there",
    "G2.2": "pass commands-allowed",
    "H3.1": "pass extensions-ready",
    "H4.1": "pass snapshot-ready",
    **dict.fromkeys(("H4.5", "H4.6", "H4.7", "H4.8", "H4.9", "H4.10", "H4.11"), "- not-azure"),
    "G4.1": "- no-scripts",
    "G4.2": "pass mounts-freezable",
    "G4.3": "pass room-enough",
    "G4.4": "- not-azure",
}

STATUS = "UserErrorGuestAgentStatusUnavailable"
NO_NETWORK = "ExtensionSnapshotFailedNoNetwork"


class State(NamedTuple):
    """A machine, in what it differs from a healthy one, and the error it would end with first."""

    build: Callable[[Tree], None]
    change: Callable[[Tree], None]
    expected: Results
    code: str | None


def scripts(tree: Tree, mode: int = 0o700, config: str | None = None) -> None:
    for name in ("pre.sh", "post.sh"):
        tree.write(f"etc/azure/{name}", "#!/bin/sh\n", mode=0o700)
    (tree.root / "etc/azure/pre.sh").chmod(mode)
    keys = '{"preScriptLocation": "/etc/azure/pre.sh", "postScriptLocation": "/etc/azure/post.sh"}'
    tree.write("etc/azure/VMSnapshotScriptPluginConfig.json", config or keys, mode=0o600)


def nothing(_tree: Tree) -> None:
    pass


def agent_missing(tree: Tree) -> None:
    tree.end_process(700, 701)
    tree.remove("usr/sbin/waagent", AGENT_UNIT)


def static_address(tree: Tree) -> None:
    tree.remove(LEASE)
    tree.write("etc/network/interfaces", "auto eth0\niface eth0 inet static\n  address 10.0.0.4/24\n")


def proxy_set(tree: Tree) -> None:
    tree.write("etc/environment", "https_proxy=http://proxy.example:3128\n")


def proxy_with_password(tree: Tree) -> None:
    tree.edit("etc/waagent.conf", "HttpProxy.Host=None", "HttpProxy.Host=bob:hunter2@proxy.example")


def reboot_pending(tree: Tree) -> None:
    tree.write("run/reboot-required", "*** System restart required ***\n")
    tree.write("run/reboot-required.pkgs", "linux-image-amd64\n")


def newer_kernel(tree: Tree) -> None:
    tree.write("lib/modules/6.1.0-21-amd64/modules.dep", "")
    tree.write("lib/modules/6.1.0-99-cloud-amd64/modules.dep", "")


def updates_pending(tree: Tree) -> None:
    lines = "Inst waagent [2.7.3.0-4.1] (2.9.1.1-1 Debian:12)\\nInst bash [5.2] (5.3 Debian:12)\\n"
    tree.program("apt-get", f"printf '{lines}'\n")


def masked(tree: Tree) -> None:
    tree.end_process(800)
    tree.link(QEMU_UNIT.replace("lib/", "etc/"), "/dev/null")


def no_channel(tree: Tree) -> None:
    tree.remove("dev/virtio-ports/org.qemu.guest_agent.0", "proc/800/fd/3")


def both_agents_on_kvm(tree: Tree) -> None:
    """A cloud image of Azure on KVM: its agent is held back by a condition, as it should be."""
    tree.write("usr/sbin/waagent", "#!/usr/bin/python3\n", mode=0o755)
    tree.write(AGENT_UNIT, "[Unit]\nConditionVirtualization=microsoft\n[Service]\nRestart=always\n")
    tree.write("etc/waagent.conf", "Provisioning.Agent=disabled\n")


def no_platform(tree: Tree) -> None:
    """Neither an agent nor a sign of where it runs."""
    agent_missing(tree)
    tree.remove("sys/class/dmi/id/chassis_asset_tag")


STATES = {
    "healthy Azure VM": State(azure_vm, nothing, {}, None),
    "healthy KVM guest": State(kvm_guest, nothing, {}, None),
    "KVM guest with the agent of Azure's images": State(kvm_guest, both_agents_on_kvm, {}, None),
    "agent stopped": State(
        azure_vm,
        lambda tree: tree.end_process(700, 701),
        {"H2.5": "fail agent-stopped", "H2.13": "fail ready-not-running"},
        STATUS,
    ),
    "agent missing": State(
        azure_vm,
        agent_missing,
        {
            "H2.5": "fail agent-missing",
            **dict.fromkeys(("H2.6", "H2.7", "H2.10", "H2.11", "H2.12", "H2.13", "H4.6"), "- not-installed"),
        },
        STATUS,
    ),
    "no agent on an unknown platform": State(
        azure_vm,
        no_platform,
        {
            "H2.5": "fail agent-none",
            **dict.fromkeys(("H2.6", "H2.10", "H2.13"), "- not-installed"),
            **dict.fromkeys(
                ("H2.7", "H2.8", "H2.11", "H2.12", "H4.5", "H4.6", "H4.7", "H4.8", "H4.9", "H4.10", "H4.11"),
                "- not-azure",
            ),
            "G4.4": "- not-azure",
        },
        STATUS,
    ),
    "agent held by a signal": State(
        kvm_guest,
        lambda tree: tree.process(800, "qemu-ga", "/usr/sbin/qemu-ga", state="T"),
        {"H2.5": "fail agent-held"},
        STATUS,
    ),
    "agent masked": State(
        kvm_guest,
        masked,
        {"H2.5": "fail agent-masked", "H2.10": "warn restart-not", "H2.13": "fail ready-not-running"},
        STATUS,
    ),
    "agent without its channel": State(
        kvm_guest, no_channel, {"H2.13": "fail port-missing", "G2.1": "fail port-missing"}, STATUS
    ),
    "agent that opened nothing": State(
        kvm_guest, lambda tree: tree.remove("proc/800/fd/3"), {"H2.13": "fail ready-deaf"}, STATUS
    ),
    "freezing blocked": State(
        kvm_guest,
        lambda tree: tree.process(800, "qemu-ga", "qemu-ga", "-b", "guest-fsfreeze-freeze,guest-exec"),
        {"G2.2": "fail commands-freeze"},
        "UserErrorFsFreezeFailed",
    ),
    "programs blocked": State(
        kvm_guest,
        lambda tree: tree.write(
            "etc/qemu/qemu-ga.conf", "[general]\nblock-rpcs=guest-exec;guest-exec-status\n"
        ),
        {"G2.2": "warn commands-extension"},
        "UserErrorFsFreezeFailed",
    ),
    "old agent": State(
        kvm_guest,
        lambda tree: tree.edit("var/lib/dpkg/status", "1:7.2+dfsg", "1:2.1+dfsg"),
        {"H2.6": "fail agent-unsupported"},
        STATUS,
    ),
    "agent that reports no more": State(
        azure_vm, lambda tree: tree.report(age_s=7200), {"H2.13": "fail ready-stale"}, STATUS
    ),
    "agent that is not ready": State(
        azure_vm, lambda tree: tree.report(status="NotReady"), {"H2.13": "fail ready-not"}, STATUS
    ),
    "agent that is not restarted": State(
        azure_vm,
        lambda tree: tree.edit(AGENT_UNIT, "Restart=always\n", ""),
        {"H2.10": "warn restart-not"},
        STATUS,
    ),
    "Python missing": State(
        azure_vm, lambda tree: tree.remove("usr/bin/python3.11"), {"H2.7": "fail python-missing"}, STATUS
    ),
    "unlisted system": State(
        azure_vm,
        lambda tree: tree.write("etc/os-release", "ID=alpine\nVERSION_ID=3.19\n"),
        {"H2.8": "warn system-unlisted"},
        None,
    ),
    "system of 32 bits": State(
        azure_vm, lambda tree: tree.write("bin/sh", b"\x7fELF\x01"), {"H2.8": "fail system-32"}, None
    ),
    "extensions disabled": State(
        azure_vm,
        lambda tree: tree.edit("etc/waagent.conf", "Extensions.Enabled=y", "Extensions.Enabled=n"),
        {"H2.11": "fail extensions-disabled"},
        "GuestAgentSnapshotTaskStatusError",
    ),
    "provisioning off": State(
        azure_vm,
        lambda tree: tree.edit("etc/waagent.conf", "Provisioning.Agent=auto", "Provisioning.Agent=disabled"),
        {"H2.12": "fail provisioning-off"},
        "GuestAgentSnapshotTaskStatusError",
    ),
    "configuration missing": State(
        azure_vm,
        lambda tree: tree.remove("etc/waagent.conf"),
        {"H2.11": "fail options-missing", "H2.12": "fail options-missing"},
        "GuestAgentSnapshotTaskStatusError",
    ),
    "static address": State(
        azure_vm,
        static_address,
        {"H4.10": "fail dhcp-off", "H4.11": "fail option-no-lease"},
        NO_NETWORK,
    ),
    "static address, a lease left over": State(
        azure_vm,
        lambda tree: tree.write("etc/network/interfaces", "iface eth0 inet static\n"),
        {"H4.10": "unknown dhcp-conflict"},
        None,
    ),
    "no option 245": State(
        azure_vm,
        lambda tree: tree.edit(LEASE, OPTION_245, ""),
        {"H4.11": "fail option-missing"},
        NO_NETWORK,
    ),
    "lease expired": State(
        azure_vm,
        lambda tree: tree.edit(LEASE, "2099/01/02", "2020/01/02"),
        {"H4.10": "unknown dhcp-unknown", "H4.11": "unknown dhcp-unknown"},
        None,
    ),
    "proxy": State(azure_vm, proxy_set, {"G4.4": "warn proxy-host"}, NO_NETWORK),
    "proxy with a password": State(
        azure_vm, proxy_with_password, {"G4.4": "fail proxy-password"}, NO_NETWORK
    ),
    "reboot pending": State(
        azure_vm, reboot_pending, {"H1.3": "warn reboot-waits"}, "GuestAgentSnapshotTaskStatusError"
    ),
    "newer kernel": State(
        kvm_guest, newer_kernel, {"H1.3": "warn reboot-waits"}, "GuestAgentSnapshotTaskStatusError"
    ),
    "updates pending": State(
        azure_vm,
        updates_pending,
        {"H1.2": "warn updates-wait", "H2.6": "warn agent-outdated"},
        "GuestAgentSnapshotTaskStatusError",
    ),
    "failed extension": State(
        azure_vm,
        lambda tree: tree.extension(CUSTOM, code=1, status="error"),
        {"H3.1": "fail extension-failed"},
        "UserErrorVmProvisioningStateFailed",
    ),
    "extension being changed": State(
        azure_vm,
        lambda tree: tree.extension(CUSTOM, code=0, status="transitioning"),
        {"H3.1": "warn extension-changing"},
        "UserErrorVmProvisioningStateFailed",
    ),
    "extension status torn": State(
        azure_vm,
        lambda tree: tree.write(f"var/lib/waagent/{CUSTOM}/status/13.status", '[{"version": "1.0", "sta'),
        {"H3.1": "fail extension-unreadable"},
        "UserErrorVmProvisioningStateFailed",
    ),
    "last backup could not freeze": State(
        azure_vm,
        lambda tree: tree.extension(SNAPSHOT, code="121"),
        {"H4.1": "fail snapshot-ended"},
        "UserErrorFsFreezeFailed",
    ),
    "own extension failed": State(
        kvm_guest,
        lambda tree: tree.own_extension("error"),
        {"H3.1": "fail extension-failed", "H4.1": "fail snapshot-failed"},
        "UserErrorVmProvisioningStateFailed",
    ),
    "script of the wrong mode": State(
        azure_vm,
        lambda tree: scripts(tree, mode=0o755),
        {"G4.1": "fail scripts-rights"},
        "InsufficientPermissionforPre-Script",
    ),
    "scripts with invalid JSON": State(
        kvm_guest,
        lambda tree: scripts(tree, config='{"preScriptLocation": '),
        {"G4.1": "fail scripts-invalid"},
        "IncorrectJSONConfigFile",
    ),
    "script missing": State(
        kvm_guest,
        lambda tree: (scripts(tree), tree.remove("etc/azure/post.sh"))[1],
        {"G4.1": "fail scripts-missing"},
        "Post-ScriptNotFound",
    ),
    "sound scripts": State(kvm_guest, scripts, {"G4.1": "pass scripts-sound"}, None),
    "file system doubled": State(
        azure_vm,
        lambda tree: tree.write(
            "proc/self/mountinfo", "\n".join([*MOUNTS, "41 28 8:17 / /backup rw - xfs /dev/sdb1 rw"]) + "\n"
        ),
        {"G4.2": "warn mounts-doubled"},
        "UserErrorFsFreezeFailed",
    ),
    "file system turned read-only": State(
        azure_vm,
        lambda tree: tree.edit("proc/self/mountinfo", "/dev/sdb1 rw", "/dev/sdb1 ro"),
        {"G4.2": "fail mounts-fallen"},
        "UserErrorUnableToOpenMount",
    ),
    "nothing to freeze": State(
        kvm_guest,
        lambda tree: tree.write("proc/self/mountinfo", "28 1 0:30 / / rw - nfs4 server:/export rw\n"),
        {"G4.2": "fail mounts-none"},
        "UserErrorFsFreezeFailed",
    ),
}


def seen(results: list[Result]) -> Results:
    """What each check found, as ``status reason``; ``-`` where it has no meaning."""
    found = {}
    for result in results:
        if result.finding is not None:
            found[result.check.id] = f"{result.finding.status} {result.finding.reason.key}"
        else:
            assert result.left_out is not None
            found[result.check.id] = f"- {result.left_out.key}"
    return found


def codes(results: list[Result]) -> list[str]:
    return [likely.code for likely in diagnose(results)]


@pytest.fixture(scope="module")
def host() -> Iterator[tuple[int, ...]]:
    with listening(3) as ports:
        yield ports


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.mark.parametrize("name", STATES)
def test_a_state_has_exactly_its_results(name: str, tree: Tree, host: tuple[int, ...]) -> None:
    state = STATES[name]
    state.build(tree)
    state.change(tree)
    facts = tree.facts(HOST, host)
    results = examine(facts)
    healthy = HEALTHY_AZURE if state.build is azure_vm else HEALTHY_KVM
    expected = {**healthy, **state.expected}
    assert seen(results) == expected
    assert codes(results)[:1] == ([state.code] if state.code else [])


def test_a_closed_host(tree: Tree, host: tuple[int, ...]) -> None:
    """Nothing listens on any of its ports; the stores that the goal state names are tried then."""
    azure_vm(tree)
    tree.write(
        "var/lib/waagent/ExtensionsConfig.1.xml",
        f"<Extensions><StatusUploadBlob>http://{HOST}:{closed_port()}/vm.status?sig=x</StatusUploadBlob></Extensions>",
    )
    results = examine(tree.facts(HOST, (closed_port(), closed_port(), closed_port())))
    closed = dict.fromkeys(("H4.7", "H4.8", "H4.9"), "fail port-closed")
    assert seen(results) == {**HEALTHY_AZURE, **closed, "H4.5": "fail store-closed"}
    assert codes(results)[:1] == [NO_NETWORK]


def test_a_closed_plugin_with_open_stores(tree: Tree, host: tuple[int, ...]) -> None:
    azure_vm(tree)
    tree.write(
        "var/lib/waagent/ExtensionsConfig.1.xml",
        f"<Extensions><StatusUploadBlob>http://{HOST}:{host[0]}/vm.status</StatusUploadBlob></Extensions>",
    )
    results = examine(tree.facts(HOST, (host[0], closed_port(), closed_port())))
    assert seen(results) == {
        **HEALTHY_AZURE,
        "H4.5": "pass store-open",
        "H4.8": "pass port-unused",
        "H4.9": "fail port-closed",
    }


def test_a_full_disk(tmp_path: Path, host: tuple[int, ...]) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m,mode=755", "tmpfs", tmp_path], check=True)
    try:
        tree = Tree(tmp_path)
        azure_vm(tree)
        assert seen(examine(tree.facts(HOST, host))) == {**HEALTHY_AZURE, "G4.3": "warn room-little"}
        tree.write("var/log/huge.log", bytes(4 << 20))
        results = examine(tree.facts(HOST, host))
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    assert seen(results) == {**HEALTHY_AZURE, "G4.3": "fail room-none"}
    assert codes(results)[:1] == ["ExtensionOperationFailedForManagedDisks"]


def test_a_route_does_for_the_option(tree: Tree, host: tuple[int, ...]) -> None:
    """As on Azure today: DHCP's option 121 brings a route to the host."""
    azure_vm(tree)
    tree.edit(LEASE, OPTION_245, "")
    tree.edit(
        "proc/net/route", "Mask\n", "Mask\neth0\t0100007F\t0100000A\t0007\t0\t0\t100\tFFFFFFFF\t0\t0\t0\n"
    )
    assert seen(examine(tree.facts(HOST, host)))["H4.11"] == "pass option-by-route"


def test_another_tag_is_another_platform(tree: Tree, host: tuple[int, ...]) -> None:
    """An agent that had a goal state is in use wherever it is, and a stopped one is told."""
    azure_vm(tree)
    tree.edit("sys/class/dmi/id/chassis_asset_tag", AZURE_TAG, "none")
    tree.edit("etc/waagent.conf", "Provisioning.Agent=auto", "Provisioning.Agent=disabled")
    tree.end_process(700, 701)
    assert seen(examine(tree.facts(HOST, host))) == {
        **HEALTHY_AZURE,
        "H2.5": "fail agent-stopped",
        "H2.12": "pass provisioning-elsewhere",
        "H2.13": "fail ready-not-running",
    }


def test_a_lease_of_networkd_or_networkmanager(tree: Tree, host: tuple[int, ...]) -> None:
    azure_vm(tree)
    tree.write(LEASE, DHCP_LEASE.format(option=""))
    tree.write("run/systemd/netif/leases/2", "ADDRESS=10.0.0.4\nOPTION_245=7f000001\n")
    assert seen(examine(tree.facts(HOST, host)))["H4.11"] == "pass option-there"
    tree.remove("run/systemd/netif/leases/2")
    assert seen(examine(tree.facts(HOST, host)))["H4.11"] == "fail option-missing"
    tree.write("run/NetworkManager/devices/2", "[device]\nconnection-uuid=5fb06bd0-0bb0\n")
    tree.write(
        "var/lib/NetworkManager/internal-5fb06bd0-0bb0-eth0.lease", "ADDRESS=10.0.0.4\nOPTION_245=7f000001\n"
    )
    assert seen(examine(tree.facts(HOST, host)))["H4.11"] == "pass option-there"
