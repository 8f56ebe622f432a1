"""Step 4 in the vault: it answers, it is sound, and what is in it has been looked at."""

from datetime import timedelta

from overwinter.doctor.check import Check, Finding, Step, failed, passed, warned
from overwinter.doctor.fact import Unknown
from overwinter.doctor.facts import Facts
from overwinter.model.job import JobStatus

#: A point that no verification has looked at for so long.
UNVERIFIED = timedelta(days=35)


def reachable(facts: Facts) -> Finding | None:
    """The vault opens and answers."""
    protection = facts.records.get().protection
    if protection is None:
        return None
    if isinstance(facts.vault, Unknown):
        return failed("away", why=facts.vault.reason)
    problem = facts.vault.get().problem
    return failed("away", why=problem) if problem else passed(vault=protection.vault.name)


def sound(facts: Facts) -> Finding | None:
    """The newest point can be read, and the last verification of the vault found it whole."""
    records = facts.records.get()
    if records.protection is None:
        return None
    health = facts.vault.get()
    if health.problem:
        return None
    if health.damage:
        return failed("damaged", point=health.newest, why=health.damage)
    report = records.verifications[0].report if records.verifications else None
    if report is not None and report.get("is_whole") is not True:
        ended = records.verifications[0].ended or records.verifications[0].started
        return failed("verified_damaged", when=f"{ended:%Y-%m-%d}")
    return passed() if health.newest else passed("empty")


def verified(facts: Facts) -> Finding | None:
    """Recovery points are looked at now and then."""
    records = facts.records.get()
    if records.protection is None:
        return None
    looked = [job.started for job in records.verifications if job.status is JobStatus.COMPLETED]
    since = max(looked, default=None)
    stored = [point for point in records.recovery_points if point.manifest is not None]
    unseen = [point.created for point in stored if since is None or point.created > since]
    if unseen and facts.taken - min(unseen) > UNVERIFIED:
        return warned("unverified", count=len(unseen), oldest=f"{min(unseen):%Y-%m-%d}")
    if stored and since is not None and facts.taken - since > UNVERIFIED:
        return warned("long_ago", when=f"{since:%Y-%m-%d}")
    return passed()


CHECKS = (
    Check("X4.5", Step.BACKUP, reachable, ("C-VAULT-AWAY", "C-KEY-OTHER", "C-KEY-UNUSABLE")),
    Check("X4.6", Step.BACKUP, sound, ("C-STORAGE-DEFECT", "C-OBJECT-LOST")),
    Check("X4.8", Step.BACKUP, verified, ("C-STORAGE-DEFECT",)),
)
