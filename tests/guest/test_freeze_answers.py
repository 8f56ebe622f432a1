"""What the guest says of a freeze: understood when it is well formed, worth nothing else, harmful never."""

import json

from hypothesis import given
from hypothesis import strategies as st

from overwinter.guest.extension_status import read_status
from overwinter.guest.freeze_answers import MOST_BYTES, MOST_MOUNTS, Event, answers
from overwinter.model.freeze import NotFrozen
from overwinter.model.guest_extension import ProvisioningState

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
EVENTS = st.sampled_from([event.value for event in Event])
KEYS = st.sampled_from(["event", "mounts", "more", "by", "held", "ms", "pid", "scripts", "message", "crc"])


def line(**said: object) -> bytes:
    return json.dumps(said).encode() + b"\n"


def test_a_whole_session() -> None:
    mount = {"point": "/srv", "source": "/dev/vdb", "type": "ext4", "why_not": None, "message": ""}
    skipped = {**mount, "point": "/net", "type": "nfs", "why_not": "network"}
    said = answers(
        line(event="started", pid=7, version="0.1.0.5", size=9, crc=3)
        + line(event="rehearsed", mounts=[])
        + line(event="thawed", by="command", held=True, ms=12, mounts=[mount, skipped], more=2)
        + line(event="ended", scripts={"configured": True, "rest": True, "code": 0})
        + b'{"event": "fro'
    )
    assert [answer.event for answer in said] == [Event.STARTED, Event.THAWED, Event.ENDED]
    started, thawed, ended = said
    assert (started.pid, started.version, started.size, started.crc) == (7, "0.1.0.5", 9, 3)
    assert (thawed.by, thawed.held, thawed.ms, thawed.unlisted) == ("command", True, 12, 2)
    assert [each.why_not for each in thawed.mounts] == [None, NotFrozen.NETWORK]
    assert ended.scripts.configured and ended.scripts.at_rest


def test_scripts_that_are_required_refuse_the_backup_when_they_fail() -> None:
    said = [{"required": True, "code": 301}, {"required": True, "code": 0}, {"required": 1, "code": 301}]
    assert [
        each.scripts.refuse for each in answers(b"".join(line(event="ended", scripts=s) for s in said))
    ] == [
        True,
        False,
        False,
    ]


def test_more_mounts_than_are_listened_to_are_counted() -> None:
    mount = {"point": "/a", "why_not": None}
    (said,) = answers(line(event="thawed", mounts=[mount] * (MOST_MOUNTS + 5), more=1))
    assert (len(said.mounts), said.unlisted) == (MOST_MOUNTS, 6)


def test_a_mount_that_makes_no_sense_makes_the_whole_line_worthless() -> None:
    assert answers(line(event="thawed", held=True, mounts=[{"why_not": "because"}])) == []
    assert answers(line(event="thawed", held=True, mounts=[7])) == []


@given(st.binary(max_size=400))
def test_any_bytes(content: bytes) -> None:
    assert all(answer.event in Event for answer in answers(content + b"\n"))


@given(st.dictionaries(KEYS, JSON | EVENTS, max_size=8))
def test_any_object(said: dict[str, object]) -> None:
    for answer in answers(line(**said)):
        assert all(c.isprintable() for c in answer.message + answer.by)
        assert 0 <= answer.ms < 1 << 32
        assert len(answer.mounts) <= MOST_MOUNTS


def test_depth_and_length_do_no_harm() -> None:
    assert answers(b'{"event":' + b"[" * 100_000 + b"\n") == []
    endless = line(event="frozen") * (MOST_BYTES // 10)
    assert len(answers(endless)) <= MOST_BYTES // len(line(event="frozen"))


@given(st.binary(max_size=200) | JSON.map(lambda said: json.dumps(said).encode()))
def test_a_status_file_that_makes_no_sense_is_a_failure(content: bytes) -> None:
    assert read_status(content).state is ProvisioningState.FAILED
