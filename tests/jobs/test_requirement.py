"""The code of a backup that does not reach what its policy requires."""

from uuid import uuid4

import pytest

from overwinter.jobs.requirement import missed
from overwinter.model.default_policies import new_policy, standard_content
from overwinter.model.errors import FreezeFailed
from overwinter.model.freeze import FreezeMethod, FreezeRecord
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
    error = missed(POLICY, reached, warnings, None)
    assert error.code == code
    assert all(warning.message in error.message for warning in warnings)


def test_who_froze_instead_of_the_extension_is_told() -> None:
    record = FreezeRecord(FreezeMethod.AGENT, reason="The guest has no Python 3.")
    assert "no Python" in missed(POLICY, Consistency.FILE_SYSTEM, (), record).message
