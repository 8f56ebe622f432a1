"""``overwinter doctor``: what keeps a VM from being backed up well."""

from collections import defaultdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from overwinter.cli.bundle import BundleFile, save_bundle
from overwinter.cli.confirm import Yes
from overwinter.cli.diagnoses import whole
from overwinter.cli.language import Language, wanted
from overwinter.cli.output import Output, table
from overwinter.cli.repairing import fix as mend
from overwinter.cli.session import AsJson, Directory, VaultOption, session
from overwinter.cli.views_doctor import ExaminationView, StepView
from overwinter.doctor.check import Status
from overwinter.doctor.texts import Texts, texts_in
from overwinter.model.settings import DEFAULT_DIRECTORY

_SIGNS = {"pass": "✓", "warn": "!", "fail": "✗"}


def doctor(
    vm: Annotated[str | None, typer.Argument(metavar="VM", help="Name of the VM.")] = None,
    job: Annotated[
        str | None, typer.Option("--job", metavar="ID", help="Why this job failed, instead of a VM.")
    ] = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Show what can be mended, ask, and let a job mend it.")
    ] = False,
    yes: Yes = False,
    bundle: BundleFile = None,
    vault: VaultOption = None,
    language: Language = None,
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Look at a VM, its guest, its host and its backups: four steps. Nothing is changed without --fix.

    With --job: what was behind the errors of a job, by what was found when it failed.

    The exit status is 1 when a check fails, or with --fix when something was not mended. With --bundle it
    only writes the file.
    """
    output = Output(as_json=as_json)
    _check_usage(vm, job, fix=fix, bundle=bundle)
    if bundle is not None:
        save_bundle(str(vm), bundle, directory, output)
        return
    spoken = wanted(language)
    with session(directory, output, spoken) as client:
        if job is not None:
            explained = client.diagnosis(client.job(job))
            output.show(explained, *whole(explained))
            return
        if fix:
            mend(client, client.item(str(vm), vault), output, yes=yes)
            return
        found = client.examination(str(vm))
    output.show(found, *_checklist(found, texts_in(spoken)))
    if found.status == "fail":
        raise typer.Exit(1)


def _check_usage(vm: str | None, job: str | None, *, fix: bool, bundle: Path | None) -> None:
    if (vm is None) == (job is None):
        raise typer.BadParameter("Give a VM or a job, and not both.", param_hint="'VM'")
    if job is not None and (fix or bundle is not None):
        raise typer.BadParameter("--fix and --bundle are for a VM: name it.", param_hint="'--job'")
    if fix and bundle is not None:
        raise typer.BadParameter("Write the bundle first, then mend.", param_hint="'--bundle'")


def _checklist(found: ExaminationView, texts: Texts) -> list[Table | str]:
    parts: list[Table | str] = []
    for step in found.steps:
        parts += _step(step, texts)
    counted = [check.status for step in found.steps for check in step.checks]
    counts = (f"{texts.word(status.value)} {counted.count(status.value)}" for status in Status)
    parts.append(f"{found.vm}: {', '.join(counts)}.")
    if found.last_failure is not None:
        parts += ["", *whole(found.last_failure)]
    return parts


def _step(step: StepView, texts: Texts) -> list[Table | str]:
    """A step: what was found, then together what could not be found out for the same reason."""
    rows = [
        (_SIGNS[check.status], check.id, check.title, check.reason)
        for check in step.checks
        if check.status in _SIGNS
    ]
    missing: dict[str, list[str]] = defaultdict(list)
    for check in step.checks:
        if check.status not in _SIGNS:
            missing[check.reason].append(check.id)
    unknown = [f"? {reason} ({', '.join(ids)})" for reason, ids in missing.items()]
    if not rows and not unknown:
        return []
    headings = (texts.word(word) for word in ("check", "looked_at", "found"))
    return [step.title, table("", *headings, rows=rows), *unknown, ""]
