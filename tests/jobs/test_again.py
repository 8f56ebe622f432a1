"""What comes back is waited for, everything else is told at once, and waiting has an end."""

import pytest

from overwinter.jobs import again
from overwinter.model.errors import CatalogUnavailable, HypervisorUnavailable, NotFound, OverwinterError


class Time:
    """A clock that moves by what is slept, and by what a step takes."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    clock = Time()
    monkeypatch.setattr(again, "time", clock)
    return clock


class Step:
    """Raises the given errors, one at a time, each after ``lasts`` seconds; then gives 7."""

    def __init__(self, time: Time, *errors: OverwinterError, lasts: float = 0.0) -> None:
        self._time = time
        self._errors = list(errors)
        self._lasts = lasts
        self.tries = 0

    def __call__(self) -> int:
        """A step."""
        self.tries += 1
        self._time.now += self._lasts
        if self._errors:
            raise self._errors.pop(0)
        return 7

    __name__ = "step"


def test_what_was_lost_is_waited_for_with_growing_pauses(time: Time) -> None:
    step = Step(time, *[CatalogUnavailable("gone")] * 3, *[HypervisorUnavailable("gone")] * 4)
    assert again.lasting(step)() == 7
    assert step.tries == 8
    assert time.slept == [0.5, 1, 2, 4, 8, 8, 8]


def test_other_errors_are_told_at_once(time: Time) -> None:
    step = Step(time, NotFound("no such VM"))
    with pytest.raises(NotFound):
        again.lasting(step)()
    assert step.tries == 1


def test_patience_has_an_end(time: Time) -> None:
    step = Step(time, *[CatalogUnavailable("gone")] * 1000)
    with pytest.raises(CatalogUnavailable):
        again.lasting(step)()
    assert again.PATIENCE_S - again.LONGEST_PAUSE_S <= time.now <= again.PATIENCE_S


def test_a_step_that_must_be_taken_is_never_given_up(time: Time) -> None:
    step = Step(time, *[CatalogUnavailable("gone")] * 1000)
    assert again.unending(step)() == 7


def test_a_loss_long_after_the_last_one_is_a_new_one(time: Time) -> None:
    step = Step(time, *[HypervisorUnavailable("gone")] * 3, lasts=2 * again.PATIENCE_S)
    assert again.lasting(step)() == 7
    assert time.slept == [again.FIRST_PAUSE_S] * 3
