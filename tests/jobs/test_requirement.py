"""The code of a backup that does not reach what its policy requires."""

import json
from dataclasses import replace
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.jobs.requirement import REASONS as KINDS
from overwinter.jobs.requirement import note, noted, refusal
from overwinter.model.default_policies import new_policy, standard_content
from overwinter.model.errors import FreezeFailed
from overwinter.model.freeze import FreezeMethod, FreezeRecord, ScriptsRecord
from overwinter.model.job import JobError
from overwinter.model.point import Consistency

POLICY = new_policy(
    uuid4(), uuid4(), "Applications", standard_content(required_consistency=Consistency.APPLICATION)
)


@pytest.mark.parametrize(
    ("reached", "codes", "code"),
    [
        (Consistency.FILE_SYSTEM, ["Pre-ScriptTimeout"], "Pre-ScriptTimeout"),
        (Consistency.FILE_SYSTEM, ["DiskNotCovered", "IncorrectJSONConfigFile"], "IncorrectJSONConfigFile"),
        (Consistency.FILE_SYSTEM, ["GuestExtensionFailed"], "GuestExtensionFailed"),
        (Consistency.FILE_SYSTEM, [], "ApplicationNotAtRest"),
        (Consistency.FILE_SYSTEM, ["DiskNotCovered"], "ApplicationNotAtRest"),
        (
            Consistency.CRASH,
            ["GuestExtensionFailed", "ExtensionFailedVssWriterInBadState"],
            "ExtensionFailedVssWriterInBadState",
        ),
        (
            Consistency.CRASH,
            ["GuestExtensionFailed", "GuestAgentSnapshotTaskStatusError"],
            "GuestAgentSnapshotTaskStatusError",
        ),
        (Consistency.CRASH, ["DiskNotCovered"], FreezeFailed.code),
    ],
)
def test_what_failed_last_decides(reached: Consistency, codes: list[str], code: str) -> None:
    warnings = tuple(JobError(each, f"About {each}.") for each in codes)
    error = refusal(POLICY, reached, warnings, None)
    assert error is not None and error.code == code
    assert all(warning.message in error.message for warning in warnings)


def test_who_froze_instead_of_the_extension_is_told() -> None:
    record = FreezeRecord(FreezeMethod.AGENT, reason="The guest has no Python 3.")
    error = refusal(POLICY, Consistency.FILE_SYSTEM, (), record)
    assert error is not None and "no Python" in error.message
    assert error.cause == "C-EXT-UNABLE"


def test_what_reaches_the_policy_is_offered_unless_the_guest_refuses() -> None:
    record = FreezeRecord(FreezeMethod.EXTENSION)
    assert refusal(POLICY, Consistency.APPLICATION, (), record) is None
    scripts = ScriptsRecord(configured=True, code=301, message="it failed", required=True)
    error = refusal(POLICY, Consistency.APPLICATION, (), replace(record, scripts=scripts))
    assert error is not None and error.code == "Post-ScriptExecutionFailed"


@given(st.sampled_from(sorted(KINDS)), st.text(), st.none() | st.sampled_from(["C-NO-FS", "C-FS-FROZEN"]))
def test_a_refusal_is_remembered(code: str, message: str, cause: str | None) -> None:
    error = KINDS[code](message, cause=cause)
    again = noted(json.loads(json.dumps(note(error))))
    assert type(again) is type(error)
    assert (again.code, again.message, again.cause) == (code, message, cause)
