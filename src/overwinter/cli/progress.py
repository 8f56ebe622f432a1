"""Following a job to its end: bars with bytes, rate and remaining time; plain lines without a terminal."""

import time
from collections.abc import Callable

from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.text import Text

from overwinter.cli.client import Client
from overwinter.cli.output import Output, length, size
from overwinter.cli.views import JobView, TaskView
from overwinter.model.errors import ServiceUnreachable

#: Seconds between two looks at a job.
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 1.0

#: Seconds a restarting service is waited for; its jobs go on after the restart.
_PATIENCE = 60

#: Seconds to wait, after the end of a job that failed, until the service has found out why.
_DIAGNOSIS_S = 75

#: A plain line is written when this share of the bytes has moved since the last one.
_PLAIN_STEP_PERCENT = 10


def follow(client: Client, job: JobView, output: Output) -> JobView:
    """Wait for the end of a job, and for the reason if it failed, showing its tasks meanwhile.

    Raises ServiceUnreachable when the service is away for a minute.
    """
    if output.as_json:
        return _wait(client, job, lambda _: None)
    if output.err.is_terminal:
        with Progress(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.description}"),
            BarColumn(),
            _Numbers(),
            console=output.err,
        ) as progress:
            bars: dict[str, TaskID] = {}
            return _wait(client, job, lambda now: _draw(progress, bars, now))
    said: dict[str, tuple[str, int]] = {}
    return _wait(client, job, lambda now: _say(output, said, now))


def _wait(client: Client, job: JobView, look: Callable[[JobView], None]) -> JobView:
    pause = _FIRST_PAUSE
    seen = ended = time.monotonic()
    look(job)
    while not job.is_final or (job.is_being_diagnosed and time.monotonic() < ended + _DIAGNOSIS_S):
        time.sleep(pause)
        pause = min(_LONGEST_PAUSE, pause * 1.5)
        try:
            job = client.refresh(job)
        except ServiceUnreachable:
            if time.monotonic() - seen > _PATIENCE:
                raise
            continue
        seen = time.monotonic()
        ended = ended if job.is_final else seen
        look(job)
    return job


def _draw(progress: Progress, bars: dict[str, TaskID], job: JobView) -> None:
    """Bring the bars to what the job is now: one per task that has begun, or one for the job."""
    for task in [task for task in job.tasks if task.status != "NotStarted"] or [_whole(job)]:
        if task.name not in bars:
            bars[task.name] = progress.add_task(task.name, total=None)
        is_over = task.status != "InProgress"
        total = task.total if task.total is not None else (1 if is_over else None)
        done = total if is_over and task.status == "Completed" else task.done
        progress.update(
            bars[task.name],
            description=task.name
            if task.status in ("InProgress", "Completed")
            else f"{task.name}: {task.status}",
            total=total,
            completed=done or 0,
            counts_bytes=task.total is not None,
        )


def _say(output: Output, said: dict[str, tuple[str, int]], job: JobView) -> None:
    """Write a line for each task whose state changed, or that moved a step of its bytes."""
    for task in [task for task in job.tasks if task.status != "NotStarted"] or [_whole(job)]:
        percent = 0 if not task.total else 100 * (task.done or 0) // task.total
        step = percent // _PLAIN_STEP_PERCENT
        if said.get(task.name) != (task.status, step):
            said[task.name] = (task.status, step)
            moved = (
                "" if task.total is None else f", {size(task.done or 0)} of {size(task.total)} ({percent} %)"
            )
            output.hint(f"{task.name}: {task.status}{moved}{_pace(task)}")


def _pace(task: TaskView) -> str:
    """Rate and remaining time of a plain line, by the time the service saw the task begin."""
    if task.status != "InProgress" or not task.done or not task.total or task.started is None:
        return ""
    seconds = time.time() - task.started.timestamp()
    if seconds < 1:
        return ""
    rate = task.done / seconds
    return f", {size(round(rate))}/s, {length((task.total - task.done) / rate)} left"


def _whole(job: JobView) -> TaskView:
    """A job without tasks, shown as one."""
    return TaskView(job.operation, job.status, job.started, job.ended, None, None)


class _Numbers(ProgressColumn):
    """Bytes, rate and remaining time of a bar that counts bytes; elapsed time of any other."""

    def render(self, task: Task) -> Text:
        if not task.fields.get("counts_bytes") or task.total is None:
            return Text(length(task.elapsed or 0))
        parts = [f"{size(round(task.completed))} of {size(round(task.total))}"]
        if task.speed and not task.finished:
            parts.append(f"{size(round(task.speed))}/s")
            if task.time_remaining is not None:
                parts.append(f"{length(task.time_remaining)} left")
        return Text("  ".join(parts))
