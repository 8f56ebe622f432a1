"""The report: what people and programs get, with which exit status, and without secrets."""

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.extension.doctor.checks.catalogue import examine
from overwinter.extension.doctor.diagnosis import diagnose
from overwinter.extension.doctor.facts.snapshot import Facts
from overwinter.extension.doctor.redact import redact
from overwinter.extension.doctor.report import Report, as_document, as_lines
from overwinter.extension.doctor.text import Unknown, say
from overwinter.extension.doctor.texts import Texts
from tests.extension.doctor.trees import CUSTOM, HOST, NOW, Tree, azure_vm, closed_port, kvm_guest, listening

SECRET = "Sup3rS3cret"


def report_of(facts: Facts) -> Report:
    results = examine(facts)
    return Report("web01", "Debian 12", NOW, results, diagnose(results), Texts("en"), redact)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path)
    azure_vm(tree)
    return tree


def document(facts: Facts) -> Any:
    return json.loads(json.dumps(as_document(report_of(facts))))


def test_a_healthy_machine(tree: Tree) -> None:
    with listening(3) as ports:
        report = report_of(tree.facts(HOST, ports))
    assert report.exit_status == 0
    lines = as_lines(report, 100, colour=False)
    assert lines[0] == "Guest doctor: web01 · Debian 12"
    assert lines[-1] == "22 passed, 0 warnings, 0 failed, 0 unknown"
    assert [line for line in lines if re.match(r"\d ", line)] == [
        "1 The VM",
        "2 The guest agent",
        "3 The extensions",
        "4 Network and snapshot",
    ]
    assert "What a backup would most likely end with" not in lines
    assert not [line for line in lines if "\x1b" in line or "→" in line]
    assert as_document(report)["counts"] == {"pass": 22, "warn": 0, "fail": 0, "unknown": 0}


def test_the_exit_status_is_the_worst_that_was_found(tree: Tree) -> None:
    with listening(3) as ports:
        facts = tree.facts(HOST, ports)
    unknown = facts._replace(space=Unknown(say("unknown-slow")))
    warned = unknown._replace(updates=("bash",))
    failed = warned._replace(processes=())
    assert [report_of(each).exit_status for each in (facts, unknown, warned, failed)] == [0, 3, 1, 2]


def test_what_a_stopped_agent_looks_like(tree: Tree) -> None:
    tree.end_process(700, 701)
    with listening(3) as ports:
        facts = tree.facts(HOST, ports)
    lines = as_lines(report_of(facts), 100, colour=False)
    at = next(number for number, line in enumerate(lines) if "H2.5" in line)
    assert lines[at] == "  FAIL    H2.5   Agent running: waagent is installed, but does not run."
    assert lines[at + 1] == "                 · /lib/systemd/system/walinuxagent.service"
    assert lines[at + 2].startswith("                 → Start the agent: `systemctl start walinuxagent`;")
    at = lines.index("What a backup would most likely end with")
    assert lines[at + 1] == (
        "  1. UserErrorGuestAgentStatusUnavailable: guest agent not reachable (H2.5, H2.13)"
    )
    (likely,) = document(facts)["likelyErrors"]
    assert likely["certain"] is True
    assert likely["remedy"]["id"] == "S-LIN-2"


def test_the_longest_mark_of_a_language_leaves_room_for_the_ids(tree: Tree) -> None:
    facts = tree.facts(HOST, (closed_port(), closed_port(), closed_port()))
    lines = as_lines(report_of(facts)._replace(texts=Texts("nl")), 100, colour=False)
    (unknown,) = [line for line in lines if " H4.5 " in line]
    assert unknown.startswith("  onbekend H4.5   Pakketten en status: ")
    assert "  ok       H4.10  DHCP: Er is een lease." in lines
    assert lines[lines.index(unknown) + 1].startswith(" " * 18)


def test_a_document_says_all(tree: Tree) -> None:
    tree.extension(CUSTOM, code=1, status="error")
    with listening(3) as ports:
        facts = tree.facts(HOST, ports)
    said = document(facts)
    assert said["examinedAt"] == "2026-11-21T22:26:40Z"
    checks = {check["id"]: check for check in said["checks"]}
    assert checks["H3.1"] == {
        "id": "H3.1",
        "step": 3,
        "title": "Extensions",
        "status": "fail",
        "reason": "Microsoft.Azure.Extensions.CustomScript 2.1.10 has failed.",
        "evidence": ["error 1 Done"],
        "remedy": {"id": "S-EXT-4", "text": Texts("en").of("remedies", "S-EXT-4")},
        "predicts": ["UserErrorVmProvisioningStateFailed"],
    }
    assert checks["H4.10"]["evidence"] == ["/var/lib/dhcp/dhclient.eth0.leases"]
    assert {entry["id"] for entry in said["notApplicable"]} == {"G2.1", "G2.2", "G4.1"}


def test_colours_mark_the_results_and_only_they_differ(tree: Tree) -> None:
    report = report_of(tree.facts(HOST, (closed_port(), closed_port(), closed_port())))
    plain, coloured = as_lines(report, 90, colour=False), as_lines(report, 90, colour=True)
    assert [re.sub(r"\x1b\[\d*m", "", line) for line in coloured] == plain
    assert any("\x1b[31mFAIL\x1b[0m" in line for line in coloured)
    assert max(map(len, plain)) <= 90


def test_what_a_guest_says_cannot_command_a_terminal(tree: Tree) -> None:
    words = {"lang": "en-US", "message": "\x1b[2J\x07 gone\n\rsecond \u202e line"}
    tree.extension(CUSTOM, code=1, status="error", formattedMessage=words)
    with listening(3) as ports:
        lines = as_lines(report_of(tree.facts(HOST, ports)), 100, colour=False)
    assert all(line.isprintable() for line in lines)


def test_no_secret_is_shown(tree: Tree) -> None:
    """Every place that a secret can come from, in text and in JSON, unless it is asked for."""
    tree.edit("etc/waagent.conf", "HttpProxy.Host=None", f"HttpProxy.Host=bob:{SECRET}@proxy.example")
    tree.write("etc/environment", f"https_proxy=http://bob:{SECRET}@proxy.example:3128\n")
    said = (
        f"GET https://s.example/c?sv=2020&sig={SECRET}%3D&se=1 failed; password: {SECRET}, "
        f'{{"accountKey": "{SECRET}"}} AccountKey={SECRET};X=1 Authorization: Bearer {SECRET}abcdef'
    )
    words = {"lang": "en-US", "message": said}
    tree.extension(CUSTOM, code=1, status="error", formattedMessage=words)
    tree.process(702, "waagent", "waagent", f"--token={SECRET}", "-daemon")
    with listening(3) as ports:
        report = report_of(tree.facts(HOST, ports))
    everything = json.dumps(as_document(report)) + "\n".join(as_lines(report, 100, colour=False))
    assert SECRET not in everything
    assert "proxy.example" in everything and "sv=2020" in everything
    open_report = report._replace(clean=str)
    assert SECRET in json.dumps(as_document(open_report))


@given(st.text(alphabet=st.characters(codec="ascii", categories=("L", "N")), min_size=8, max_size=40))
def test_redaction_hides_and_keeps(secret: str) -> None:
    for shown in (
        f"http://user:{secret}@proxy:3128/x",
        f"user:{secret}@proxy",
        f"https://a/b?sig={secret}&sv=1",
        f"password={secret}",
        f'"clientSecret": "{secret}"',
        f"Bearer {secret}",
    ):
        assert f"{secret}@" not in redact(shown) and "***" in redact(shown)
        assert redact(redact(shown)) == redact(shown)
    for harmless in ("/dev/sda1 (ext4 on /data)", "127.0.0.1:80: Connection refused", "process 7: qemu-ga"):
        assert redact(harmless) == harmless


def run(package: Path, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """The program as anybody runs it: the system's Python, without its site packages, nothing set."""
    command = ["/usr/bin/python3", "-I", "-S", str(package), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_program_on_this_machine(package: Path) -> None:
    done = run(package, "--json", "--endpoint", HOST, "--ports", "1,2,3")
    assert done.stderr == ""
    said = json.loads(done.stdout)
    assert {check["id"] for check in said["checks"]} >= {"H1.3", "H2.5", "H3.1", "G4.2", "G4.3"}
    assert done.returncode == 2 if said["counts"]["fail"] else done.returncode in (0, 1, 3)


def test_the_program_on_a_copy(package: Path, tree: Tree) -> None:
    """Only what the copy's own package manager would know is unknown."""
    os.utime(tree.root / "var/lib/waagent/waagent_status.7.json")
    with listening(3) as ports:
        where = ["--root", str(tree.root), "--endpoint", HOST, "--ports", ",".join(map(str, ports))]
        done = run(package, *where, "--json")
        text = run(package, *where)
    said = json.loads(done.stdout)
    assert (done.returncode, text.returncode) == (3, 3), said
    assert [check["id"] for check in said["checks"] if check["status"] != "pass"] == ["H1.2"]
    assert said["machine"] == "web01"
    assert "21 passed, 0 warnings, 0 failed, 1 unknown" in text.stdout


def test_the_program_speaks_the_language_of_its_user(package: Path, tree: Tree) -> None:
    """The one that is asked for, else the environment's; documents, too."""
    where = ["--root", str(tree.root)]
    swedish = run(package, *where, LANG="sv_SE.UTF-8", PYTHONIOENCODING="utf-8")
    assert "Diagnos av gästsystemet: web01" in swedish.stdout
    dutch = run(package, *where, "--lang", "nl", LANG="sv_SE.UTF-8", PYTHONIOENCODING="utf-8")
    assert "Diagnose van de gast: web01" in dutch.stdout
    checks = json.loads(run(package, *where, "--json", LC_ALL="nl_NL.UTF-8").stdout)["checks"]
    assert next(check for check in checks if check["id"] == "H2.6")["title"] == "Versie van de agent"
    unheard = run(package, *where, LANG="xx_XX.UTF-8")
    assert "Guest doctor: web01" in unheard.stdout


def test_the_program_in_a_plain_locale(package: Path, tmp_path: Path) -> None:
    (tmp_path / "kvm").mkdir()
    tree = Tree(tmp_path / "kvm")
    kvm_guest(tree)
    done = run(package, "--root", str(tree.root), LC_ALL="POSIX", PYTHONIOENCODING="ascii")
    assert done.returncode == 3
    assert "FAIL" not in done.stdout


def test_wrong_use_is_no_diagnosis(package: Path) -> None:
    for words in (["--ports", "80"], ["--ports", "80,443,x"], ["--nonsense"], ["--root", "/no/such/place"]):
        done = run(package, *words)
        assert done.returncode == 64
        assert "usage" in done.stderr
    assert run(package, "--help").returncode == 0


def test_not_root(package: Path) -> None:
    """What only root may read is unknown and names its path; nothing fails for it."""
    with tempfile.TemporaryDirectory() as place:  # the directories of tests are root's alone
        Path(place).chmod(0o755)
        tree = Tree(Path(place))
        azure_vm(tree)
        (tree.root / "var/lib/waagent").chmod(0o700)
        program = Path(place) / "doctor"
        program.write_bytes(package.read_bytes())
        nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        command = [*nobody, "/usr/bin/python3", "-I", "-S", program, "--root", tree.root]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == "Run it as root to see everything: what only root may read is unknown.\n"
    assert re.search(r"unknown H3.1 +Extensions: Only root may read \S+/var/lib/waagent", done.stdout)
    assert done.returncode == 3


def test_a_copy_in_the_hands_of_others_tells_nothing_of_modes(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    kvm_guest(tree)
    os.chown(tree.root, 65534, 65534)
    (check,) = [each for each in document(tree.facts(None, (1, 2, 3)))["checks"] if each["id"] == "G4.1"]
    assert check["status"] == "unknown"
