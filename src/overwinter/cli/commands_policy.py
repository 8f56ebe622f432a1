"""``overwinter policy``: when VMs are backed up and how long their points are kept."""

from datetime import UTC, datetime, time
from enum import StrEnum
from typing import Annotated

import typer

from overwinter.cli.client import Client
from overwinter.cli.output import Output, facts, size, table
from overwinter.cli.policy_changes import EVERY_DAY, NONE, Asked, changed
from overwinter.cli.policy_views import PolicyView, PreviewView
from overwinter.cli.policy_words import rule_text
from overwinter.cli.preview_picture import picture
from overwinter.cli.session import AsJson, Directory, session
from overwinter.model.default_policies import standard_content
from overwinter.model.errors import AlreadyExists
from overwinter.model.extension import WithoutAgent
from overwinter.model.point import Consistency
from overwinter.model.policy_document import document_of
from overwinter.model.preview import preview
from overwinter.model.settings import DEFAULT_DIRECTORY
from overwinter.model.timezone import moment_of

app = typer.Typer(
    no_args_is_help=True, help="Policies: when VMs are backed up and how long their points are kept."
)

Name = Annotated[str, typer.Argument(help="Name of the policy.")]
InVault = Annotated[str, typer.Option("--vault", help="The policy's vault.")]

_CREATE_EXAMPLE = (
    "Example: overwinter policy create nightly --vault main --at 01:30 --time-zone Europe/Berlin "
    "--daily 30 --weekly 12 --monthly 24 --monthly-on last"
)
_MODIFY_EXAMPLE = "Example: overwinter policy modify nightly --vault main --daily 60 --bandwidth-limit 50M"


class ConsistencyWord(StrEnum):
    """The least consistency a backup must reach."""

    CRASH = "crash"
    FILE_SYSTEM = "file-system"
    APPLICATION = "application"


class AgentWord(StrEnum):
    """What a backup does without a guest agent."""

    CRASH_CONSISTENT = "crash-consistent"
    FAIL = "fail"


@app.command("list", epilog="Example: overwinter policy list --vault main")
def list_policies(vault: InVault, directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False) -> None:
    """List the policies of a vault."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        policies = client.policies(client.vault(vault))
    rows = [
        (p.name, p.type, p.schedule, p.time_zone, p.instant_retention_days, _kept(p), p.protected_items)
        for p in policies
    ]
    headings = ("NAME", "TYPE", "BACKUPS", "TIME ZONE", "DAYS ON HOST", "IN VAULT", "VMS")
    output.show(policies, table(*headings, rows=rows))


@app.command("show", epilog="Example: overwinter policy show DefaultPolicy --vault main")
def show_policy(
    name: Name, vault: InVault, directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False
) -> None:
    """Show one policy."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        policy = client.policy(client.vault(vault), name)
    _show(output, policy)


@app.command("delete", epilog="Example: overwinter policy delete nightly --vault main")
def delete_policy(
    name: Name, vault: InVault, directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False
) -> None:
    """Delete a policy that no VM has."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        policy = client.policy(client.vault(vault), name)
        client.delete_policy(policy)
    output.show({"deleted": policy.name}, f"Policy {policy.name} of {policy.vault} is deleted.")


@app.command("preview", epilog="Example: overwinter policy preview nightly --vault main --days 400")
def preview_policy(
    name: Name,
    vault: InVault,
    days: Annotated[int, typer.Option(min=1, max=40_000, help="How many days to look ahead.")] = 400,
    start: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day; today without.")
    ] = None,
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Show which points there would be, on the host and in the vault, if all backups of a VM succeed."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        policy = client.policy(client.vault(vault), name)
    zone = policy.content.zone
    first = datetime.now(UTC).astimezone(zone).date() if start is None else start.date()
    seen = preview(policy.content, moment_of(datetime.combine(first, time()), zone), days)
    view = PreviewView.of(policy, seen)
    heading = f"Policy {policy.name} of {policy.vault}: {policy.schedule} ({policy.time_zone}), {days} days."
    output.show(view, heading, "", picture(seen), *(f"\nWarning: {each}" for each in view.warnings))


def _write_policy(
    context: typer.Context,
    name: Name,
    vault: InVault,
    at: Annotated[
        str | None, typer.Option(metavar="HH:MM", help="When backups run, or the first of the day.")
    ] = None,
    time_zone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="IANA or Windows name, as Europe/Berlin.")
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(metavar="DAYS", help=f"A weekly schedule: Sunday,Wednesday; {EVERY_DAY} for daily."),
    ] = None,
    every: Annotated[
        int | None, typer.Option(metavar="HOURS", help="An hourly schedule (4, 6, 8, 12); enhanced policy.")
    ] = None,
    hours: Annotated[
        int | None, typer.Option("--for", metavar="HOURS", help="How long an hourly schedule's window is.")
    ] = None,
    enhanced: Annotated[
        bool, typer.Option("--enhanced", help="An enhanced policy (V2): up to 30 days on the host.")
    ] = False,
    instant_days: Annotated[int | None, typer.Option(help="Days a point stays on the host.")] = None,
    daily: Annotated[
        int | None,
        typer.Option(metavar="DAYS", help="Days each day's point stays."),
    ] = None,
    weekly: Annotated[int | None, typer.Option(metavar="WEEKS", help="Weeks the weekly points stay.")] = None,
    weekly_on: Annotated[str | None, typer.Option(metavar="DAYS", help="As in Sunday,Wednesday.")] = None,
    monthly: Annotated[
        int | None, typer.Option(metavar="MONTHS", help="Months the monthly points stay.")
    ] = None,
    monthly_on: Annotated[
        str | None, typer.Option(metavar="DAYS", help="As in 1,15,last or 'first,third Sunday'.")
    ] = None,
    yearly: Annotated[int | None, typer.Option(metavar="YEARS", help="Years the yearly points stay.")] = None,
    yearly_on: Annotated[
        str | None, typer.Option(metavar="DAYS", help="As in 'January 1' or 'January,July last Sunday'.")
    ] = None,
    crash_consistent_only: Annotated[
        bool | None,
        typer.Option("--crash-consistent-only/--freeze", help="Freeze no guest (enhanced policy)."),
    ] = None,
    require_consistency: Annotated[
        ConsistencyWord | None, typer.Option(help="A backup that reaches less fails.")
    ] = None,
    without_agent: Annotated[
        AgentWord | None, typer.Option(help="What a backup of a running VM does without a guest agent.")
    ] = None,
    retries: Annotated[
        int | None, typer.Option(help="How often a backup with a passing failure is tried again.")
    ] = None,
    bandwidth_limit: Annotated[
        str | None,
        typer.Option(
            metavar="RATE", help=f"Bytes a second read from the VM's disks, as 50M; '{NONE}' lifts it."
        ),
    ] = None,
    backup_window: Annotated[
        str | None,
        typer.Option(
            metavar="HH:MM-HH:MM", help=f"Scheduled backups start in this part of the day; '{NONE}' lifts it."
        ),
    ] = None,
    automatic_repair: Annotated[
        bool | None,
        typer.Option(
            "--automatic-repair/--no-automatic-repair",
            help="After a scheduled backup failed, mend what a machine may mend, and try once more.",
        ),
    ] = None,
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    output = Output(as_json=as_json)
    required = None if require_consistency is None else _CONSISTENCY[require_consistency]
    agent = None if without_agent is None else _WITHOUT_AGENT[without_agent]
    asked = Asked(
        enhanced=enhanced,
        time_zone=time_zone,
        at=at,
        on=on,
        every=every,
        hours=hours,
        instant_days=instant_days,
        daily=daily,
        weekly=weekly,
        weekly_on=weekly_on,
        monthly=monthly,
        monthly_on=monthly_on,
        yearly=yearly,
        yearly_on=yearly_on,
        crash_consistent_only=crash_consistent_only,
        required_consistency=required,
        without_agent=agent,
        retries=retries,
        bandwidth_limit=bandwidth_limit,
        backup_window=backup_window,
        automatic_repair=automatic_repair,
    )
    with session(directory, output) as client:
        policy = _write(client, name, vault, asked, is_new=context.info_name == "create")
    _show(output, policy)


app.command(
    "create",
    help="Make a policy; a standard one with a daily backup unless told otherwise.",
    epilog=_CREATE_EXAMPLE,
)(_write_policy)
app.command(
    "modify",
    help="Change a policy, also for existing points. What is not named stays; a count of 0 removes a rule.",
    epilog=_MODIFY_EXAMPLE,
)(_write_policy)

_CONSISTENCY = {
    ConsistencyWord.CRASH: Consistency.CRASH,
    ConsistencyWord.FILE_SYSTEM: Consistency.FILE_SYSTEM,
    ConsistencyWord.APPLICATION: Consistency.APPLICATION,
}
_WITHOUT_AGENT = {
    AgentWord.CRASH_CONSISTENT: WithoutAgent.CRASH_CONSISTENT,
    AgentWord.FAIL: WithoutAgent.FAIL,
}


def _write(client: Client, name: str, vault_name: str, asked: Asked, *, is_new: bool) -> PolicyView:
    vault = client.vault(vault_name)
    before = standard_content()
    if not is_new:
        known = client.policy(vault, name)
        name, before = known.name, known.content
    elif any(policy.name.casefold() == name.casefold() for policy in client.policies(vault)):
        raise AlreadyExists(
            f"There is a policy {name} already. Change it: "
            f"overwinter policy modify {name} --vault {vault.name}"
        )
    try:
        content = changed(before, asked)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return client.put_policy(vault, name, document_of(content))


def _kept(policy: PolicyView) -> str:
    return "; ".join(rule_text(rule) for rule in policy.content.rules)


def _show(output: Output, policy: PolicyView) -> None:
    limit = policy.bandwidth_limit
    rules = {f"{rule.name.lower()}_points": rule_text(rule) for rule in policy.content.rules}
    output.show(
        policy,
        facts(
            name=policy.name,
            vault=policy.vault,
            type="enhanced (V2)" if policy.type == "V2" else "standard (V1)",
            backups=policy.schedule,
            time_zone=policy.time_zone,
            next_backup=policy.next_run,
            days_on_host=policy.instant_retention_days,
            **rules,
            required_consistency=policy.required_consistency,
            freezes_guests=not policy.crash_consistent_only,
            without_agent=policy.without_agent,
            retries=policy.retries,
            bandwidth_limit=None if limit is None else f"{size(limit)}/s",
            backup_window=policy.backup_window,
            automatic_repair=policy.automatic_repair,
            protected_VMs=policy.protected_items,
        ),
    )
