"""The limit on transfers, with a clock of the test's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.jobs.throttle import Throttle
from overwinter.model.errors import JobCancelled


class Clock:
    """Time passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@given(st.integers(65536, 1 << 30), st.lists(st.integers(1, 4 << 20), min_size=2, max_size=30))
def test_bytes_a_second(limit: int, sizes: list[int]) -> None:
    clock = Clock()
    throttle = Throttle(limit, lambda: None, lambda: clock.now, clock.sleep)
    for size in sizes:
        throttle.wait(size)
    # The last one is on its way only now, so its own bytes do not count yet.
    assert clock.now - 100.0 == pytest.approx(sum(sizes[:-1]) / limit)


def test_time_in_which_nobody_read_is_not_saved_up() -> None:
    clock = Clock()
    throttle = Throttle(1000, lambda: None, lambda: clock.now, clock.sleep)
    throttle.wait(1000)
    clock.now += 3600
    throttle.wait(1000)
    throttle.wait(1)
    assert clock.now == 100 + 3600 + 1


def test_cancelling_ends_the_waiting() -> None:
    clock = Clock()

    def check() -> None:
        if clock.now >= 103:
            raise JobCancelled("cancelled")

    throttle = Throttle(1000, check, lambda: clock.now, clock.sleep)
    throttle.wait(3_600_000)
    with pytest.raises(JobCancelled):
        throttle.wait(1)
    assert clock.now <= 104
