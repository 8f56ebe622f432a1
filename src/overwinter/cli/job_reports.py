"""What the report of a job tells, for people: of repairs here, of vaults in ``vault_reports``."""

from rich.table import Table

from overwinter.cli import vault_reports
from overwinter.cli.output import Cell, table
from overwinter.cli.views import JobView
from overwinter.cli.views_repairs import mended_by


def findings(job: JobView) -> list[Table | str]:
    """Everything the job has found out; nothing where it has no report."""
    return _repairs(job) if "repairs" in (job.report or {}) else vault_reports.findings(job)


def _repairs(job: JobView) -> list[Table | str]:
    """What was mended and what not, and whether the job was tried again because of it."""
    rows: list[tuple[Cell, ...]] = [
        (
            "✓" if each.failure is None else "✗",
            each.repair,
            each.finding,
            each.action,
            "mended" if each.failure is None else each.failure,
        )
        for each in mended_by(job)
    ]
    parts: list[Table | str] = [table("", "REPAIR", "FOUND", "DONE", "NOW", rows=rows)]
    if (job.report or {}).get("tried_again"):
        parts.append("Then it was tried once more.")
    return parts
