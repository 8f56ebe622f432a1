"""The judge of labels: sound evidence passes, and each promise that is broken is noticed at its label."""

from dataclasses import replace
from typing import Any

import pytest

from overwinter.model.point import Consistency
from testkit.consistency import Evidence, LabelWrong, Written, check_label

BEFORE, AFTER = Written(100, 100, 100, 100), Written(200, 200, 200, 200)
FOUND = {
    "journals_to_replay": [],
    "sure": [151, 151, 150, 150],
    "lazy": [150, 150, 150, 149],
    "postgresql": [150, 150],
    "mariadb": [151, 151],
}
SOUND = Evidence(FOUND, BEFORE, AFTER, held=150)
LEVELS = [Consistency.CRASH, Consistency.FILE_SYSTEM, Consistency.APPLICATION]


def with_found(**changes: Any) -> Evidence:
    return replace(SOUND, found=FOUND | changes)


@pytest.mark.parametrize("label", LEVELS)
def test_sound_evidence(label: Consistency) -> None:
    check_label(label, SOUND)


@pytest.mark.parametrize(
    ("evidence", "needs"),
    [
        (with_found(sure=[99, 99, 99, 99]), Consistency.CRASH),
        (with_found(sure=[202, 202, 202, 202]), Consistency.CRASH),
        (with_found(sure=[150, 151, 150, 150]), Consistency.CRASH),
        (with_found(sure=[152, 151, 151, 150]), Consistency.CRASH),
        (with_found(postgresql=[149, 150]), Consistency.CRASH),
        (with_found(mariadb=[202, 202]), Consistency.CRASH),
        (with_found(journals_to_replay=["lvm"]), Consistency.FILE_SYSTEM),
        (with_found(lazy=[150, 99, 150, 150]), Consistency.FILE_SYSTEM),
        (with_found(postgresql=[99, 99]), Consistency.APPLICATION),
        (with_found(mariadb=[149, 149]), Consistency.APPLICATION),
        (with_found(mariadb=[152, 152]), Consistency.APPLICATION),
        (replace(SOUND, held=None), Consistency.APPLICATION),
    ],
    ids=str,
)
def test_a_broken_promise_is_noticed_by_who_made_it(evidence: Evidence, needs: Consistency) -> None:
    for label in LEVELS:
        if label.satisfies(needs):
            with pytest.raises(LabelWrong):
                check_label(label, evidence)
        else:
            check_label(label, evidence)
