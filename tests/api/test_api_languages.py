"""Accept-Language: problems and what to do in the language of the client; codes are the same for all."""

import pytest

from overwinter.codebook import book, languages
from overwinter.codebook.explanation import recommendations
from overwinter.codebook.texts import Names, texts_in
from overwinter.model.job import Job, JobError, JobStatus
from tests.api.served import VAULT, Served, item_path

EVERY_LANGUAGE = pytest.mark.parametrize("language", languages.available())


def told(language: str, code: str, message: str) -> str:
    """What the service is to say: other languages first say in general what happened."""
    entry = book.find(code)
    assert entry is not None
    return message if language == "en" else f"{texts_in(language).message(entry)} {message}"


def backup(served: Served) -> Job:
    """A backup that is under way."""
    service = served.service
    service.finish(service.protect(service.vaults.get("v1"), service.machine("Web01"), "DefaultPolicy"))
    return service.backup(service.items()[0], expires=None)


@EVERY_LANGUAGE
def test_an_error_answer(served: Served, language: str) -> None:
    answer = served.http.get(f"{VAULT}x", headers={"Accept-Language": f"xx, {language}-XX;q=0.5"})
    error = answer.json()["error"]
    info = error["additionalInfo"][0]["info"]
    entry = book.find("ResourceNotFound")
    assert entry is not None and (answer.status_code, error["code"]) == (404, entry.code)
    assert info["message"] == told(language, entry.code, "There is no vault 'v1x'.")
    assert info["recommendations"] == list(recommendations(entry, texts_in(language)))
    assert error["message"] == " ".join([info["message"], *info["recommendations"]])


@EVERY_LANGUAGE
def test_a_missing_token(served: Served, language: str) -> None:
    headers = {"Authorization": "Bearer wrong", "Accept-Language": language}
    info = served.http.get(VAULT, headers=headers).json()["error"]["additionalInfo"][0]["info"]
    assert info["message"] == told(language, "AuthenticationFailed", "The bearer token is missing or wrong.")


@EVERY_LANGUAGE
def test_problems_of_a_job_and_of_its_item(served: Served, language: str) -> None:
    service = served.service
    job = backup(served)
    service.finish(job, JobStatus.FAILED, JobError("OverlaySpaceLow", "/srv is full."))
    entry = book.find("OverlaySpaceLow")
    assert entry is not None
    texts = texts_in(language)
    headers = {"Accept-Language": language}
    shown = served.http.get(f"{VAULT}/backupJobs/{job.id}", headers=headers).json()["properties"]
    (problem,) = shown["errorDetails"]
    names = Names(vm="Web01", vault="v1", job=str(job.id))
    assert problem["errorTitle"] == "OverlaySpaceLow"
    assert problem["errorString"] == told(language, "OverlaySpaceLow", "/srv is full.")
    assert problem["recommendations"] == list(recommendations(entry, texts, names=names))
    assert "`overwinter backup Web01 --wait`" in problem["recommendations"][-1]
    assert problem["overwinter"]["causes"] == [texts.cause(cause) for cause in entry.causes]
    item = served.http.get(item_path("Web01"), headers=headers).json()["properties"]
    (health,) = item["healthDetails"]
    assert health["message"] == problem["errorString"]
    assert health["recommendations"] == problem["recommendations"]


@pytest.mark.parametrize(
    ("codes", "health", "protection"),
    [
        ([], "Passed", "Healthy"),
        (["JobCancelled"], "Passed", "Healthy"),
        (["DiskNotCovered"], "ActionSuggested", "Unhealthy"),
        (["DiskNotCovered", "JobCancelled"], "ActionSuggested", "Unhealthy"),
        (["DiskNotCovered", "VaultStorageFull"], "ActionRequired", "Unhealthy"),
    ],
)
def test_an_item_is_as_ill_as_its_worst_problem(
    served: Served, codes: list[str], health: str, protection: str
) -> None:
    service = served.service
    job = backup(served)
    problems = [JobError(code, "It happened.") for code in codes]
    service.finish(job, JobStatus.COMPLETED_WITH_WARNINGS, *problems)
    item = served.http.get(item_path("Web01")).json()["properties"]
    assert (item["healthStatus"], item["protectionStatus"]) == (health, protection)
