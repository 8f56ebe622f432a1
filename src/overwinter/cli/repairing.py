"""``overwinter doctor --fix``: shows what can be mended, asks, lets a job do it, tells what came of it."""

import sys
from dataclasses import dataclass

import typer

from overwinter.cli.client import Client
from overwinter.cli.confirm import confirm
from overwinter.cli.job_reports import findings
from overwinter.cli.output import Output
from overwinter.cli.progress import follow
from overwinter.cli.session import summary
from overwinter.cli.views import ItemView, ProblemView
from overwinter.cli.views_repairs import MendedView, RepairView, mended_by


@dataclass(frozen=True)
class Fixed:
    """What a fix came to. Without a ``job`` there was nothing to mend."""

    vm: str
    plan: tuple[RepairView, ...] = ()
    job: str | None = None
    status: str | None = None
    repairs: tuple[MendedView, ...] = ()
    errors: tuple[ProblemView, ...] = ()


def fix(client: Client, item: ItemView, output: Output, *, yes: bool) -> None:
    """Mend what can be mended of a VM. The command's status is 1 when something was not, or a person said no.

    With ``--json`` and without a terminal nobody can be asked: that is wrong use, before anything is done.
    """
    if not yes and (output.as_json or not sys.stdin.isatty()):
        raise typer.BadParameter("There is nobody to ask: give --yes as well.", param_hint="'--yes'")
    plan = client.repairs.plan(item)
    if not plan:
        output.show(Fixed(item.vm), f"{item.vm}: nothing that could be mended was found.")
        return
    if not output.as_json:
        output.show(plan, *_planned(item, plan))
    confirm(f"Do this to {item.vm}?", output, yes=yes)
    job = client.repairs.start(item)
    try:
        job = follow(client, job, output)
    except KeyboardInterrupt:
        output.hint(f"The job goes on. Look at it: overwinter job show {job.id}")
        raise
    done = mended_by(job)
    was_needless = job.is_success and not done
    output.show(
        Fixed(item.vm, plan, job.id, job.status, done, job.errors),
        *summary(job),
        *(["By now there was nothing to mend any more."] if was_needless else findings(job)),
    )
    if not job.is_success or any(each.failure is not None for each in done):
        raise typer.Exit(1)


def _planned(item: ItemView, plan: tuple[RepairView, ...]) -> list[str]:
    lines = [f"{item.vm} in vault {item.vault}: this can be mended.", ""]
    for place, each in enumerate(plan, start=1):
        lines += [
            f"{place}. {each.finding}",
            f"   Repair {each.repair}: {each.action}",
            f"   {each.touches}",
        ]
    return [*lines, ""]
