"""Step 4: protection, jobs, schedule, restore points and locks, by the catalog's records."""

from datetime import timedelta
from statistics import median

from overwinter.doctor.check import Check, Finding, Step, failed, passed, warned
from overwinter.doctor.facts import Facts, Protection
from overwinter.jobs import disk_rules
from overwinter.model.errors import DiskSizeUnsupported, StandardSsdUnsupported
from overwinter.model.job import Job
from overwinter.model.policy import MAX_RESTORE_POINTS
from overwinter.model.preview import restore_points_wanted
from overwinter.model.protection import StackVersion
from overwinter.model.schedule import last_run, next_run, runs
from overwinter.model.vm import PowerState, VirtualMachine

#: From so many restore points on, the limit is near.
MANY_POINTS = 15

#: A job that runs longer than this is not expected to end.
LONG_JOB = timedelta(hours=24)

#: Backups that take longer than this should be looked after (reference articles).
LONG_BACKUP = timedelta(hours=12)

#: A run of the schedule has this long to become a recovery point, and a quarter of the time to the next one.
GRACE = timedelta(hours=2)


def active(facts: Facts) -> Finding:
    """The VM is protected, its protection is active, and it is not paused."""
    protection = facts.records.get().protection
    if protection is None:
        return failed("unprotected")
    if not protection.item.is_active:
        return failed("inactive", state=protection.item.state.value)
    machine = facts.machine.get()
    if machine is not None and machine.state is PowerState.PAUSED:
        return failed("paused")
    return passed(vault=protection.vault.name, policy=protection.policy.name)


def no_other_job(facts: Facts) -> Finding:
    """No job works on the VM's disks: another would be refused."""
    jobs = facts.records.get().active_jobs
    if not jobs:
        return passed()
    oldest = min(jobs, key=lambda job: job.started)
    say = failed if facts.taken - oldest.started > LONG_JOB else warned
    return say("running", operation=oldest.operation.value, since=f"{oldest.started:%Y-%m-%d %H:%M}")


def point_count(facts: Facts) -> Finding:
    """The VM is well below the most restore points it can have."""
    count = len(facts.records.get().restore_points)
    if count >= MAX_RESTORE_POINTS:
        return failed("full", count=count, most=MAX_RESTORE_POINTS)
    return (warned if count >= MANY_POINTS else passed)("count", count=count, most=MAX_RESTORE_POINTS)


def locks(facts: Facts) -> Finding:
    """No lock stops the clean-up of restore points."""
    records = facts.records.get()
    if not records.locks:
        return passed()
    say = failed if len(records.restore_points) >= MANY_POINTS else warned
    return say("locked", lock=records.locks[0].name, count=len(records.restore_points))


def points_wanted(facts: Facts) -> Finding | None:
    """The policy does not want more restore points than a VM can have."""
    protection = facts.records.get().protection
    if protection is None:
        return None
    policy = protection.policy.content
    days = facts.profile.kept_days(protection.policy)
    until = facts.taken + timedelta(days=days + 8)
    wanted = max(restore_points_wanted(runs(policy.schedule, policy.zone, facts.taken, until), days))
    if wanted > MAX_RESTORE_POINTS and facts.profile.makes_room:
        return passed("shortened", wanted=wanted, most=MAX_RESTORE_POINTS)
    if wanted > MAX_RESTORE_POINTS:
        return warned("too_many", wanted=wanted, most=MAX_RESTORE_POINTS, policy=protection.policy.name)
    return passed(wanted=wanted)


def disk_sizes(facts: Facts) -> Finding | None:
    """No disk is larger than the support profile takes."""
    problem = _disk_problem(facts)
    return failed("large", why=problem.message) if isinstance(problem, DiskSizeUnsupported) else passed()


def standard_ssd(facts: Facts) -> Finding | None:
    """No disk is of a kind that the vault's stack does not take."""
    problem = _disk_problem(facts)
    return failed("refused", why=problem.message) if isinstance(problem, StandardSsdUnsupported) else passed()


def _disk_problem(facts: Facts) -> DiskSizeUnsupported | StandardSsdUnsupported | None:
    machine, protection = facts.machine.get(), facts.records.get().protection
    if machine is None:
        return None
    stack = StackVersion.V2 if protection is None else protection.vault.stack
    try:
        disk_rules.check(_covered(machine, protection), facts.profile, stack)
    except (DiskSizeUnsupported, StandardSsdUnsupported) as problem:
        return problem
    return None


def _covered(machine: VirtualMachine, protection: Protection | None) -> VirtualMachine:
    return machine if protection is None else protection.item.disks.applied(machine)


def secrets(facts: Facts) -> Finding | None:
    """The secrets of encrypted disks can be read."""
    machine = facts.machine.get()
    if machine is None or not machine.encrypted_disks:
        return None
    problem = facts.secrets.get()
    return failed("unreadable", why=problem) if problem else passed()


def durations(facts: Facts) -> Finding | None:
    """Backups end long before the next one is due."""
    records = facts.records.get()
    lengths = [_length(job) for job in records.backups]
    if records.protection is None or not lengths:
        return None
    policy = records.protection.policy.content
    following = next_run(policy.schedule, policy.zone, facts.taken)
    interval = next_run(policy.schedule, policy.zone, following) - following
    typical = timedelta(seconds=median(length.total_seconds() for length in lengths))
    if typical > min(LONG_BACKUP, interval / 2):
        return warned("long", hours=f"{typical.total_seconds() / 3600:.1f}")
    return passed()


def _length(job: Job) -> timedelta:
    return (job.ended or job.started) - job.started


def objective(facts: Facts) -> Finding | None:
    """The last recovery point is as new as the policy's schedule promises."""
    records = facts.records.get()
    if records.protection is None or not records.protection.item.is_active:
        return None
    item, policy = records.protection.item, records.protection.policy.content
    following = next_run(policy.schedule, policy.zone, facts.taken)
    grace = max(GRACE, (following - last_run(policy.schedule, policy.zone, facts.taken)) / 4)
    due = last_run(policy.schedule, policy.zone, facts.taken - grace)
    before = last_run(policy.schedule, policy.zone, due - timedelta(seconds=1))
    newest = max((point.created for point in records.recovery_points), default=None)
    since = item.created if newest is None else newest
    if since >= due:
        return passed("fresh") if newest is not None else passed("first_pending")
    say = failed if since < before else warned
    if newest is None:
        return say("none", due=f"{due:%Y-%m-%d %H:%M}")
    return say("stale", newest=f"{newest:%Y-%m-%d %H:%M}", due=f"{due:%Y-%m-%d %H:%M}")


CHECKS = (
    Check("H5.7", Step.BACKUP, active, ("C-NOT-PROTECTED", "C-VM-PAUSED")),
    Check("H5.6", Step.BACKUP, no_other_job, ("C-JOB-RUNNING", "C-JOB-OTHER-VAULT", "C-OVERLAP")),
    Check("H5.2", Step.BACKUP, point_count, ("C-RP-18",)),
    Check("H5.1", Step.BACKUP, locks, ("C-RG-LOCK",)),
    Check("H5.3", Step.BACKUP, points_wanted, ("C-MULTI-DAY",)),
    Check("H5.4", Step.BACKUP, disk_sizes, ("C-DISK-BIG", "C-DISK-ENC-BIG")),
    Check("H5.5", Step.BACKUP, standard_ssd, ("C-STACK-V1",)),
    Check("H4.14", Step.BACKUP, secrets, ("C-KV-PERM",)),
    Check("H4.13", Step.BACKUP, durations, ("C-OVERLAP", "C-SLOW-STORAGE")),
    Check("X4.7", Step.BACKUP, objective, ("C-NOT-PROTECTED", "C-OVERLAP")),
)
