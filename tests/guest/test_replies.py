"""Whatever a guest sends: it is read as what it says, or it is an error of one kind, and nothing else."""

import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.guest import replies
from overwinter.model.errors import GuestAgentInconsistent

numbers = st.integers() | st.integers(min_value=10**30) | st.floats() | st.booleans()
leaves = st.none() | numbers | st.text() | st.sampled_from(["frozen", "thawed", "enabled", "AAAA"])
keys = st.text(max_size=5) | st.sampled_from(
    ["version", "supported_commands", "name", "enabled", "id", "pid", "count", "buf-b64", "eof", "exited",
     "exitcode", "out-data", "err-data", "kernel-release", "pretty-name", "host-name"]
)  # fmt: skip
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=12,
)

PARSERS: list[Callable[[object], object]] = [
    replies.agent_info,
    replies.system,
    replies.hostname,
    replies.clock,
    replies.is_frozen,
    replies.exit_status,
    lambda answer: replies.file_piece(answer, 100),
    lambda answer: replies.count(answer, "c"),
    lambda answer: replies.content(answer, "c"),
    replies.label,
]


@pytest.mark.parametrize("parser", PARSERS, ids=lambda p: p.__name__)
@given(answer=anything)
def test_anything_is_read_or_refused(parser: Callable[[object], object], answer: object) -> None:
    try:
        found = parser(answer)
    except GuestAgentInconsistent as error:
        assert len(error.message) < 200
        return
    assert len(repr(found)) < 10_000


@given(st.text())
def test_texts_are_short_and_printable(text: str) -> None:
    found = replies.label(text)
    assert len(found) <= 200
    assert found.isprintable()


@given(st.binary(max_size=300), st.booleans(), st.integers(0, 300))
def test_a_piece_of_a_file_is_exactly_what_was_asked_for(content: bytes, at_end: bool, most: int) -> None:
    answer = {"count": len(content), "buf-b64": base64.b64encode(content).decode(), "eof": at_end}
    if len(content) > most:
        with pytest.raises(GuestAgentInconsistent):
            replies.file_piece(answer, most)
    else:
        assert replies.file_piece(answer, most) == (content, at_end or not content)
    with pytest.raises(GuestAgentInconsistent):
        replies.file_piece({**answer, "count": len(content) + 1}, 1000)


def test_a_good_answer_is_read() -> None:
    info = replies.agent_info(
        {
            "version": "7.2.17",
            "supported_commands": [
                {"name": "guest-ping", "enabled": True, "success-response": True},
                {"name": "guest-exec", "enabled": False, "success-response": True},
            ],
        }
    )
    assert (info.version, info.known, info.enabled) == (
        "7.2.17", {"guest-ping", "guest-exec"}, {"guest-ping"}
    )  # fmt: skip
    assert replies.clock(1_767_225_600_000_000_000).isoformat() == "2026-01-01T00:00:00+00:00"
    assert replies.exit_status({"exited": False}) is None
    assert replies.exit_status({"exited": True, "signal": 9}) == (None, b"", b"")
    assert replies.exit_status({"exited": True, "exitcode": 3, "out-data": "b3V0"}) == (3, b"out", b"")
    with pytest.raises(GuestAgentInconsistent):
        replies.agent_info({"supported_commands": [{"name": "x" * 65, "enabled": True}]})
    with pytest.raises(GuestAgentInconsistent):
        replies.agent_info({"supported_commands": [{"name": "a"}] * 1001})
