"""What makes up a bundle, without a VM: ends of logs, programs of the host, known secrets."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.doctor.bundle import host
from overwinter.doctor.bundle.documents import plain
from overwinter.doctor.bundle.tail import last_lines, printable, tail
from overwinter.doctor.fact import NotKnown
from overwinter.model.settings import Settings
from tests.doctor.facts import HEALTHY


@given(st.binary(max_size=60).map(lambda raw: raw.replace(b"\xff", b"\n")), st.integers(0, 70))
def test_an_end_is_whole_lines(content: bytes, most: int) -> None:
    kept = last_lines(content, most)
    assert len(kept) <= most or len(content) <= most
    assert content.endswith(kept)
    cut = content[: len(content) - len(kept)]
    assert not kept or not cut or cut.endswith(b"\n"), "no line is cut"
    line = content[: len(cut) - 1].rpartition(b"\n")[2] if cut else b""
    assert not cut or len(line) + 1 + len(kept) > most, "what has room is kept"


@given(st.binary(max_size=200), st.integers(0, 220))
def test_a_file_is_read_like_that(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, most: int
) -> None:
    file = tmp_path_factory.getbasetemp() / "log"
    file.write_bytes(content)
    assert tail(file, most) == printable(last_lines(content, most))


@given(st.binary())
def test_no_terminal_obeys_what_is_kept(content: bytes) -> None:
    shown = printable(content)
    assert all(letter.isprintable() or letter in "\n\t" or ord(letter) > 0x9F for letter in shown)
    assert "\u202e" not in printable("\u202e".encode())


def test_the_log_before_the_present_one_counts(tmp_path: Path) -> None:
    settings = Settings("host", tmp_path)
    with pytest.raises(NotKnown, match="No such file"):
        host.service_log(settings)
    settings.log_file.parent.mkdir()
    settings.log_file.write_text("new\n")
    assert host.service_log(settings) == "new\n"
    settings.log_file.with_name("service.log.1").write_text("old\n" * (1 << 20))
    kept = host.service_log(settings)
    assert kept.endswith("old\nnew\n")
    assert (2 << 20) - 4 <= len(kept) <= 2 << 20
    settings.log_file.write_text("new\n" * (1 << 20))
    assert "old" not in host.service_log(settings)


def test_the_facts_are_a_document() -> None:
    document = plain(HEALTHY)
    assert isinstance(document, dict)
    assert document["machine"]["value"]["name"] == "web01"
    assert document["drift"] == {"value": 1.0, "source": "guest", "taken": plain(HEALTHY.drift.taken)}
    assert document["windows"]["reason"]
    assert plain({"a": frozenset({2, 1}), "b": Path("/x")}) == {"a": [1, 2], "b": "/x"}
    assert plain(replace(HEALTHY, vm="other"))["vm"] == "other"  # type: ignore[index]
