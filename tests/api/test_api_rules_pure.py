"""The pure rules of the dialect: filters, paths, times, names."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.api import filters, ids, paths, times
from overwinter.model.errors import NotFound, RequestError

keys = st.from_regex(r"[A-Za-z]\w{0,12}", fullmatch=True).filter(lambda key: key.isascii())
values = st.text(max_size=20)


@given(st.lists(st.tuples(keys, values), min_size=1, max_size=5), st.sampled_from([" and ", "  AND "]))
def test_a_written_filter_is_read_back(conditions: list[tuple[str, str]], joint: str) -> None:
    quote = "'"
    text = joint.join(f"{key} eq '{value.replace(quote, quote * 2)}'" for key, value in conditions)
    assert filters.parse(text) == conditions


@given(st.text(alphabet="ab' eqand=()", max_size=40))
def test_any_text_is_a_filter_or_an_error(text: str) -> None:
    try:
        assert filters.parse(text)
    except RequestError as error:
        assert "Cannot read the filter" in error.message


@pytest.mark.parametrize(
    "text",
    [
        "a eq 'b' and",
        "a eq 'b' and ",
        "and a eq 'b'",
        "a eq 'b' c eq 'd'",
        "a eq 'b'and",
        "'a' eq 'b'",
        "a eq '",
    ],
)
def test_filters_that_are_not(text: str) -> None:
    with pytest.raises(RequestError):
        filters.parse(text)


@given(
    st.lists(st.text(alphabet=st.characters(exclude_characters="/", codec="utf-8"), min_size=1), max_size=6)
)
def test_paths_keep_their_names(names: list[str]) -> None:
    template = [word for name in names for word in ("Fixed", "{name}")]
    path = "//".join(["", *(word for name in names for word in ("fIXED", name))]) + "/"
    assert paths.canonical(path, [tuple(template)]) == "/" + "/".join(
        word for name in names for word in ("Fixed", name)
    )


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_written_time_is_read_back(moment: datetime) -> None:
    assert times.parse(times.stamp(moment)) == moment


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-20 12:00:00 AM", datetime(2026, 1, 20, tzinfo=UTC)),
        ("2026-01-20 01:05:09 PM", datetime(2026, 1, 20, 13, 5, 9, tzinfo=UTC)),
        ("2026-01-20T01:00:00+02:00", datetime(2026, 1, 19, 23, tzinfo=UTC)),
        ("2026-01-01T02:31:00.1234567Z", datetime(2026, 1, 1, 2, 31, 0, 123456, tzinfo=UTC)),
    ],
)
def test_times_of_clients(text: str, moment: datetime) -> None:
    assert times.parse(text) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "0001-01-01T00:00:00+14:00", "12:00"])
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(RequestError):
        times.parse(text)


def test_times_without_a_zone_and_of_others() -> None:
    assert times.stamp(datetime(2026, 1, 1, 2, 30)) == "2026-01-01T02:30:00Z"
    east = timezone(timedelta(hours=2))
    assert times.stamp(datetime(2026, 1, 1, 2, 30, 0, 500000, east)) == "2026-01-01T00:30:00.500000Z"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "PT0S"),
        (91.78, "PT1M31.78S"),
        (240, "PT4M0S"),
        (3600, "PT1H0S"),
        (90061.5, "PT25H1M1.5S"),
        (-1, "PT0S"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert times.duration(timedelta(seconds=seconds)) == text


def test_item_names() -> None:
    assert ids.vm_of_item_name("vm;IaasVMContainerV2;lab;a;b") == "a;b"
    for name in ("web01", "VM;other;lab;web01", "VM;iaasvmcontainerv2;web01"):
        with pytest.raises(NotFound):
            ids.vm_of_item_name(name)


@given(st.lists(st.text(min_size=1, max_size=4), unique=True, min_size=1))
def test_a_name_written_exactly_is_always_found(names: list[str]) -> None:
    for name in names:
        assert ids.find(names, name, str, "thing") == name
