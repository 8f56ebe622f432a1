"""Whoever is asked may hang, fail or be missing: the doctor goes on in each case, and never for a defect."""

import threading
from collections.abc import Callable

import pytest

from overwinter.doctor.asking import Asking
from overwinter.doctor.fact import Known, NotKnown, Source, Unknown
from overwinter.model.errors import HypervisorUnavailable, InternalError
from tests.doctor.facts import NOW


def ask(question: Callable[[], object], timeout_s: float = 60) -> Asking[object]:
    return Asking(Source.HOST, question, timeout_s=timeout_s, now=NOW)


def test_an_answer_is_known() -> None:
    assert ask(lambda: 7).fact() == Known(7, Source.HOST, NOW)


def test_who_hangs_is_not_waited_for() -> None:
    ends = threading.Event()
    fact = ask(ends.wait, timeout_s=0.05).fact()
    ends.set()
    assert isinstance(fact, Unknown) and "No answer" in fact.reason
    with pytest.raises(NotKnown, match="No answer"):
        fact.get()


def test_an_expected_error_and_a_missing_fact_are_reasons() -> None:
    def away() -> object:
        raise HypervisorUnavailable("libvirt is away")

    def missing() -> object:
        raise NotKnown("nobody knows")

    assert ask(away).fact() == Unknown("libvirt is away", Source.HOST, NOW)
    assert ask(missing).fact() == Unknown("nobody knows", Source.HOST, NOW)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_is_not_taken_for_an_answer() -> None:
    with pytest.raises(InternalError):
        ask(lambda: 1 // 0).fact()
