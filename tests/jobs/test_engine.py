"""Every workflow takes its job up first: one that was cancelled while it waited must not be worked on."""

import inspect

from overwinter.jobs.engine import JobEngine
from overwinter.model.job import JobOperation


def test_every_workflow_begins_its_job_first() -> None:
    source = inspect.getsource(JobEngine)
    workflows = source.split("@DBOS.workflow()")[1:]
    assert len(workflows) >= 8
    for workflow in workflows:
        body = workflow.split("@DBOS.step()")[0]
        first_step = next(line.strip() for line in body.splitlines() if "self." in line)
        assert "self.begin(job_id)" in first_step, body


def test_every_step_outlasts_losses() -> None:
    steps = inspect.getsource(JobEngine).split("@DBOS.step()")[1:]
    assert steps and all(step.split()[0] in ("@lasting", "@unending") for step in steps)


def test_every_operation_has_a_workflow() -> None:
    source = inspect.getsource(JobEngine.__init__)
    named = {each for each in JobOperation if f"JobOperation.{each.name}:" in source}
    of_vaults = {JobOperation.VERIFY, JobOperation.REPAIR, JobOperation.COPY, JobOperation.CLEAN_UP}
    assert named | of_vaults == set(JobOperation)
