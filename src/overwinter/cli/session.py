"""What all client commands share: their common options, the connection, and how they fail."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from overwinter.api.state import StateDirectory
from overwinter.cli.client import AmbiguousVault, Client
from overwinter.cli.connection import connect
from overwinter.cli.diagnoses import brief
from overwinter.cli.failure import Failure
from overwinter.cli.job_reports import findings
from overwinter.cli.language import spoken
from overwinter.cli.output import Output, advice, length, size
from overwinter.cli.progress import follow
from overwinter.cli.views import JobView
from overwinter.model.errors import OverwinterError

Directory = Annotated[
    Path, typer.Option("--dir", envvar="OVERWINTER_DIR", help="State directory of the service.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Answer with one JSON document on standard output.")]
VaultOption = Annotated[str | None, typer.Option("--vault", help="The vault, where the VM is in several.")]
Wait = Annotated[
    bool, typer.Option("--wait/--no-wait", help="Wait for the end of the job, or only start it.")
]


@contextmanager
def session(directory: Path, output: Output, language: str | None = None) -> Iterator[Client]:
    """A client of the service; failures are told and end the command with status 1, or 2 for wrong use.

    The service answers in ``language``; null: that of the environment.
    """
    try:
        with connect(StateDirectory(directory), language or spoken()) as connection:
            yield Client(connection)
    except AmbiguousVault as error:
        raise typer.BadParameter(f"{error} Say which is meant.", param_hint="'--vault'") from None
    except OverwinterError as error:
        output.failure(Failure.of(error))
        raise typer.Exit(1) from None
    except Failure as failure:
        output.failure(failure)
        raise typer.Exit(1) from None


def finish(client: Client, job: JobView, output: Output, *, wait: bool) -> None:
    """Tell of a started job, or wait for it and tell how it ended; status 1 when it failed."""
    if not wait:
        output.show(job, f"Started: job {job.id} ({job.operation} of {job.vm}).")
        output.hint(f"Follow it: overwinter job wait {job.id}")
        return
    try:
        job = follow(client, job, output)
    except KeyboardInterrupt:
        output.hint(f"The job goes on. Look at it: overwinter job show {job.id}")
        raise
    output.show(job, *summary(job), *findings(job))
    if not job.is_success:
        raise typer.Exit(1)


def summary(job: JobView) -> list[str]:
    """How a job ended, in lines for people: the result, then each problem with what to do."""
    took = "" if job.ended is None else f" in {length((job.ended - job.started).total_seconds())}"
    moved = sum(task.done or 0 for task in job.tasks)
    amount = f", {size(moved)}" if moved else ""
    lines = [f"{job.operation} of {job.vm}: {job.status}{took}{amount} (job {job.id})."]
    for problem in job.errors:
        lines.append(f"{problem.code}: {problem.message}")
        lines += brief(problem.causes)
        lines += advice(problem.recommendations)
    return lines
