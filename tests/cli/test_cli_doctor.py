"""``overwinter doctor``: a checklist of four steps, and what it exits with."""

import json

from typer.testing import CliRunner

from overwinter.cli.main import app
from tests.api.served import Served


def test_the_checklist(served: Served) -> None:
    shown = CliRunner().invoke(app, ["doctor", "Web01", "--dir", str(served.directory)])
    assert shown.exit_code == 1
    lines = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    assert lines.index("1. The virtual machine") < lines.index("2. The guest agent")
    assert lines.index("2. The guest agent") < lines.index("4. The backup")
    assert "3. What snapshots stand on in the guest" not in lines
    assert "✓ X1.1 libvirt answers It answered within 0.1 s." in lines
    assert "! H5.2 There is room for restore points It has 16 of at most 18." in lines
    assert any(line.startswith("✗ X4.1") for line in lines)
    assert "? No answer within 20 s. (H2.13, H2.3)" in lines
    assert lines[-1] == "Web01: ok 1, warning 1, failed 1, unknown 2."


def test_the_checklist_in_the_language_of_the_user(served: Served) -> None:
    words = ["doctor", "Web01", "--dir", str(served.directory)]
    shown = CliRunner().invoke(app, words, env={"LC_ALL": "sv_SE.UTF-8"})
    lines = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    assert "1. Den virtuella datorn" in lines
    assert "KONTROLL GRANSKAT RESULTAT" in lines
    assert "✓ X1.1 libvirt svarar libvirt svarade inom 0.1 s." in lines
    assert lines[-1] == "Web01: ok 1, varning 1, fel 1, okänt 2."


def test_json_and_a_vm_that_is_well(served: Served) -> None:
    done = CliRunner().invoke(app, ["doctor", "db01", "--json", "--dir", str(served.directory)])
    found = json.loads(done.stdout)
    assert (done.exit_code, found["status"]) == (0, "pass")
    assert found["steps"][0]["checks"][0]["id"] == "X1.1"
    gone = CliRunner().invoke(app, ["doctor", "nobody", "--dir", str(served.directory)])
    assert gone.exit_code == 1 and "ResourceNotFound" in gone.output
