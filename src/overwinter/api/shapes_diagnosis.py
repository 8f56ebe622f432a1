"""What is behind the errors of a job, as a document in one language. ARM has no shape for it."""

from overwinter.api.shapes_errors import Audience
from overwinter.api.times import stamp_or_none
from overwinter.codebook.book import find
from overwinter.codebook.texts import Names
from overwinter.codebook.texts import texts_in as book_in
from overwinter.doctor.diagnosis import Diagnosis, JudgedCause, Obstacle
from overwinter.doctor.diagnosis_record import diagnosis_of, taken
from overwinter.doctor.texts import texts_in as doctor_in
from overwinter.model.job import Job, JobError
from overwinter.model.protection import Vault


def job_diagnosis_shape(job: Job, vault: Vault | None, audience: Audience) -> dict[str, object]:
    """All problems of a job with their causes; ``taken`` is null when nobody looked when it failed."""
    names = names_of(job, vault)
    return {
        "job": str(job.id),
        "vm": job.vm_name,
        "operation": job.operation.value,
        "status": job.status.value,
        "ended": stamp_or_none(job.ended),
        "taken": stamp_or_none(taken(job)),
        "pending": job.is_being_diagnosed,
        "heading": doctor_in(audience.language).diagnosis("heading"),
        "problems": [_problem(job, problem, audience, names) for problem in job.errors],
    }


def names_of(job: Job, vault: Vault | None) -> Names:
    """What texts about a job can name."""
    return Names(
        vm=job.vm_name or Names.vm, vault=Names.vault if vault is None else vault.name, job=str(job.id)
    )


def causes_shape(diagnosis: Diagnosis | None, audience: Audience, names: Names) -> list[dict[str, object]]:
    """The causes of a problem, likeliest first, those ruled out last."""
    return [] if diagnosis is None else [_cause(judged, audience, names) for judged in diagnosis.causes]


def _problem(job: Job, problem: JobError, audience: Audience, names: Names) -> dict[str, object]:
    diagnosis = diagnosis_of(job, problem, audience.edition)
    entry = find(problem.code)
    return {
        "code": problem.code,
        "title": problem.code if entry is None else book_in(audience.language).title(entry),
        "message": audience.told(problem.code, problem.message),
        "causes": causes_shape(diagnosis, audience, names),
        "recommendations": audience.advice(diagnosis, names),
    }


def _cause(judged: JudgedCause, audience: Audience, names: Names) -> dict[str, object]:
    book, doctor = book_in(audience.language), doctor_in(audience.language)
    why = None if judged.obstacle in (None, Obstacle.UNKNOWN) else judged.obstacle
    return {
        "id": judged.cause.id,
        "text": book.cause(judged.cause),
        "verdict": judged.verdict.value,
        "verdictText": doctor.diagnosis(judged.verdict.value),
        "why": "" if why is None else doctor.diagnosis(why.value),
        "evidence": [
            {
                "check": each.check,
                "title": doctor.title(each.check),
                "status": each.status.value,
                "reason": doctor.found(each.check, each.reason, each.values, each.why),
            }
            for each in judged.evidence
        ],
        "remedies": [
            {
                "id": remedy.id,
                "text": book.remedy(remedy, names),
                "actor": remedy.actor.value,
                "actorText": book.actor(remedy.actor),
                "repair": remedy.repair,
            }
            for remedy in judged.cause.remedies
        ],
    }
