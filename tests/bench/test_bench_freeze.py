"""The histogram of stalls counts every write once, and in the right place."""

from hypothesis import given
from hypothesis import strategies as st

from bench.freeze.stalls import BUCKETS_MS, Stalls


def test_writes_are_counted_by_their_upper_bound() -> None:
    document = Stalls([0.3, 2.0, 2.1, 300.0, 2000.0, 2000.1], seconds=7.04).document()
    assert document["histogram_ms"] == {
        **dict.fromkeys(map(str, BUCKETS_MS), 0),
        "2": 2,
        "5": 1,
        "500": 1,
        "2000": 1,
        "more": 1,
    }
    assert (document["writes"], document["seconds"], document["stalled_ms"]) == (6, 7.0, 4300)
    assert (document["longest_ms"], document["p99_ms"], document["median_ms"]) == (2000.1, 2000.1, 151.05)


@given(st.lists(st.floats(0, 1e5), min_size=1))
def test_none_is_lost(times: list[float]) -> None:
    histogram = Stalls(times).document()["histogram_ms"]
    assert isinstance(histogram, dict)
    assert sum(histogram.values()) == len(times)
