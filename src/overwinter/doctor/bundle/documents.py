"""What the service knows, as documents: versions, settings, report, facts, protection, jobs."""

import json
import platform
import sys
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from uuid import UUID

from overwinter.catalog import jobs as job_table
from overwinter.doctor.check import Status, Step
from overwinter.doctor.facts import Protection
from overwinter.doctor.report import Report
from overwinter.doctor.texts import texts_in
from overwinter.jobs.runtime import Runtime
from overwinter.model.job import Job

#: Jobs of the VM that are told of, and characters of a report that goes along.
JOBS = 50
_LONGEST_REPORT = 100_000

_LANGUAGE = "en"

_BY_URGENCY = (Status.FAIL, Status.WARN, Status.UNKNOWN, Status.PASS)


def plain(value: object) -> object:
    """A value of the model as a JSON document: times in ISO 8601, lengths in seconds."""
    match value:
        case Enum():
            return value.value
        case datetime():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case UUID() | Path():
            return str(value)
        case Mapping():
            return {str(key): plain(each) for key, each in value.items()}
        case AbstractSet():
            return sorted((plain(each) for each in value), key=str)
        case list() | tuple():
            return [plain(each) for each in value]
    if is_dataclass(value):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    return value if isinstance(value, str | int | float | None) else str(value)


def versions() -> object:
    """Of ourselves and what we stand on."""
    return {
        "overwinter": version("overwinter"),
        "python": sys.version,
        "system": platform.freedesktop_os_release(),
        "kernel": list(platform.uname()),
    }


def report(found: Report) -> object:
    """What the checks found, in English."""
    texts = texts_in(_LANGUAGE)
    return {
        "vm": found.vm,
        "taken": plain(found.taken),
        "worst": found.worst.value,
        "results": [
            {
                "check": result.check.id,
                "title": texts.title(result.check.id),
                "result": result.finding.status.value,
                "sentence": texts.sentence(result),
                "values": plain(result.finding.values),
                "causes": list(result.check.causes),
            }
            for result in found.results
        ],
        "notApplicable": list(found.not_applicable),
    }


def report_text(found: Report) -> str:
    """The same to be read, what is wrong first in each step."""
    texts = texts_in(_LANGUAGE)
    lines = [f"{found.vm}, {found.taken.isoformat()}: {texts.word(found.worst.value)}", ""]
    for step in Step:
        of_step = [result for result in found.results if result.check.step is step]
        lines.append(texts.step(step))
        for result in sorted(of_step, key=lambda each: _BY_URGENCY.index(each.finding.status)):
            check = result.check.id
            status = texts.word(result.finding.status.value)
            lines.append(f"  {check:<6} {status:<8} {texts.title(check)}")
            lines.append(f"{'':<17} {texts.sentence(result)}")
        lines.append("")
    return "\n".join(lines)


def protection(found: Protection | None) -> object:
    """Item, policy (as the API writes it) and vault; null for a VM that is not protected."""
    if found is None:
        return None
    return {
        "item": plain(found.item),
        "policy": {"name": found.policy.name, "properties": found.policy.document},
        "vault": plain(found.vault),
    }


def jobs(runtime: Runtime, vm_uuid: UUID) -> object:
    """The last jobs of the VM, newest first, with tasks, problems and what they reported."""
    with runtime.catalog.transaction() as tx:
        found = job_table.newest_of_machine(tx, vm_uuid, JOBS)
    return [plain(_bounded(job)) for job in found]


def _bounded(job: Job) -> Job:
    length = len(json.dumps(job.report))
    if length <= _LONGEST_REPORT:
        return job
    return replace(job, report={"leftOut": f"{length} characters"})
