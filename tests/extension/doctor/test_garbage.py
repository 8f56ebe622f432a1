"""Whatever stands in a file of the machine, the doctor comes to an end and calls it unknown at worst."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overwinter.extension.doctor.checks.catalogue import examine
from overwinter.extension.doctor.facts.snapshot import Facts
from overwinter.extension.doctor.text import Unknown
from tests.extension.doctor.trees import HOST, Tree, azure_vm, closed_port, kvm_guest

#: Read by the doctor, but not for what is in them.
PLAIN = ("Packages", "provisioned", "modules.dep", "vport1p1", "GoalState")

#: Pieces of the forms that these files have, so that garbage looks like something.
PIECES = st.sampled_from(
    [
        "=",
        "[",
        "]",
        "{",
        "}",
        '"',
        "'",
        "\\",
        "/",
        ":",
        ",",
        "(",
        ")",
        "#!",
        "%",
        " ",
        " - ",
        "\n",
        "\x00",
        "é",
        "lease {",
        "option ",
        "unknown-245 ",
        "http://",
        "status",
        "code",
        "Restart=",
        "0",
        "-1",
        "9" * 30,
    ]
)


def trees(directory: Path) -> list[tuple[Tree, Path]]:
    """Every file of both machines."""
    found = []
    for name, build in (("azure", azure_vm), ("kvm", kvm_guest)):
        (directory / name).mkdir()
        tree = Tree(directory / name)
        build(tree)
        tree.write("etc/environment", "http_proxy=http://p:1\n")
        tree.write("proc/700/environ", "a=b\0")
        tree.write("etc/qemu/qemu-ga.conf", "[general]\nblock-rpcs=guest-exec\n")
        tree.write("etc/default/qemu-guest-agent", "DAEMON_ARGS='-b guest-exec'\n")
        tree.write("etc/azure/VMSnapshotScriptPluginConfig.json", "{}", mode=0o600)
        tree.write("etc/azure/vmbackup.conf", "[SnapshotThread]\nMountsToSkip=/data\n")
        tree.write("etc/fstab", "/dev/sda1 / ext4 ro 0 1\n")
        tree.write("etc/netplan/a.yaml", "dhcp4: true\n")
        tree.write("etc/NetworkManager/system-connections/a", "[ipv4]\nmethod=manual\n")
        tree.write("run/systemd/netif/leases/2", "OPTION_245=7f000001\n")
        tree.write("run/NetworkManager/devices/2", "[dhcp4]\nconnection-uuid=a\n")
        tree.write("var/lib/waagent/ExtensionsConfig.1.xml", "<Uri>http://127.0.0.1:1/x</Uri>")
        files = sorted(path for path in tree.root.rglob("*") if path.is_file() and not path.is_symlink())
        found += [(tree, path) for path in files if not any(word in str(path) for word in PLAIN)]
    return found


def defects(facts: Facts) -> list[str]:
    return [
        name
        for name, fact in zip(Facts._fields, facts, strict=True)
        if isinstance(fact, Unknown) and fact.reason.key == "unknown-defect"
    ]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Tree, Path]]:
    return trees(tmp_path_factory.mktemp("garbage"))


def garbage(content: bytes) -> st.SearchStrategy[bytes]:
    """Anything, something that looks right, a file cut off, a file with something in its middle."""
    return st.one_of(
        st.binary(max_size=200),
        st.lists(PIECES, max_size=30).map(lambda pieces: "".join(pieces).encode()),
        st.integers(0, len(content)).map(lambda cut: content[:cut]),
        st.tuples(st.integers(0, len(content)), PIECES).map(
            lambda change: content[: change[0]] + change[1].encode() + content[change[0] :]
        ),
    )


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_garbage_in_any_file(places: list[tuple[Tree, Path]], data: st.DataObject) -> None:
    tree, path = data.draw(st.sampled_from(places), label="file")
    before = path.read_bytes()
    path.write_bytes(data.draw(garbage(before), label="content"))
    try:
        facts = tree.facts(HOST, (closed_port(),) * 3)
        results = examine(facts)
    finally:
        path.write_bytes(before)
    assert defects(facts) == []
    assert len(results) == len({result.check.id for result in results})
