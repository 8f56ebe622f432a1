"""``overwinter job``: what runs, what ran, and how it ended."""

from typing import Annotated

import typer

from overwinter.cli.job_reports import findings
from overwinter.cli.output import Output, facts, size, table
from overwinter.cli.session import AsJson, Directory, finish, session, summary
from overwinter.model.settings import DEFAULT_DIRECTORY

app = typer.Typer(no_args_is_help=True, help="Jobs: what runs, what ran, how it ended.")

JobId = Annotated[str, typer.Argument(metavar="ID", help="Id of the job.")]


@app.command("list", epilog="Example: overwinter job list")
def list_jobs(directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False) -> None:
    """List the jobs of all vaults, newest first."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        jobs = client.jobs()
    rows = [(job.started, job.operation, job.vm, job.status, job.vault, job.id) for job in jobs]
    output.show(jobs, table("STARTED", "OPERATION", "VM", "STATUS", "VAULT", "ID", rows=rows, whole="ID"))


@app.command("show", epilog="Example: overwinter job show 0b54f1de-6a3c-4d7e-8f6a-2f6c1c1f9a10")
def show_job(job_id: JobId, directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False) -> None:
    """Show one job: its tasks, its problems and what to do about them."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        job = client.job(job_id)
    tasks = [
        (
            task.name,
            task.status,
            task.started,
            task.ended,
            None if task.total is None else f"{size(task.done or 0)} of {size(task.total)}",
        )
        for task in job.tasks
    ]
    results = {
        name: value if isinstance(value, (str, int)) else str(value) for name, value in job.properties.items()
    }
    output.show(
        job,
        facts(vm=job.vm, vault=job.vault, started=job.started, ended=job.ended, **results),
        "",
        table("TASK", "STATUS", "STARTED", "ENDED", "DATA", rows=tasks),
        "",
        *summary(job),
        *findings(job),
    )


@app.command("wait", epilog="Example: overwinter job wait 0b54f1de-6a3c-4d7e-8f6a-2f6c1c1f9a10")
def wait_for_job(job_id: JobId, directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False) -> None:
    """Wait for the end of a job; the exit status is 1 when it failed."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        finish(client, client.job(job_id), output, wait=True)


@app.command("cancel", epilog="Example: overwinter job cancel 0b54f1de-6a3c-4d7e-8f6a-2f6c1c1f9a10")
def cancel_job(job_id: JobId, directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False) -> None:
    """Ask a running job to stop."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        job = client.cancel(client.job(job_id))
    output.show(job, f"{job.operation} of {job.vm}: {job.status}.")
