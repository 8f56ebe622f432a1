"""``overwinter policy``: what backups must reach and how long points are kept."""

from enum import StrEnum
from typing import Annotated

import typer

from overwinter.cli.output import Output, facts, table
from overwinter.cli.session import AsJson, Directory, session
from overwinter.cli.views import PolicyView
from overwinter.model.default_policies import standard_content
from overwinter.model.point import Consistency
from overwinter.model.policy_document import document_of
from overwinter.model.settings import DEFAULT_DIRECTORY

app = typer.Typer(
    no_args_is_help=True,
    help="Policies: what backups must reach and how long points are kept. Schedules are not run yet.",
)

Name = Annotated[str, typer.Argument(help="Name of the policy.")]
InVault = Annotated[str, typer.Option("--vault", help="The policy's vault.")]


class ConsistencyWord(StrEnum):
    """The least consistency a backup must reach."""

    CRASH = "crash"
    FILE_SYSTEM = "file-system"
    APPLICATION = "application"


_CONSISTENCY = {
    ConsistencyWord.CRASH: Consistency.CRASH,
    ConsistencyWord.FILE_SYSTEM: Consistency.FILE_SYSTEM,
    ConsistencyWord.APPLICATION: Consistency.APPLICATION,
}


@app.command("list", epilog="Example: overwinter policy list --vault main")
def list_policies(vault: InVault, directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False) -> None:
    """List the policies of a vault."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        policies = client.policies(client.vault(vault))
    rows = [
        (
            p.name,
            p.type,
            p.instant_retention_days,
            p.daily_retention_days,
            p.required_consistency,
            p.protected_items,
        )
        for p in policies
    ]
    headings = ("NAME", "TYPE", "DAYS ON HOST", "DAYS IN VAULT", "REQUIRED CONSISTENCY", "VMS")
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


@app.command("create", epilog="Example: overwinter policy create nightly --vault main --daily-days 90")
def create_policy(
    name: Name,
    vault: InVault,
    instant_days: Annotated[int, typer.Option(min=1, max=5, help="Days a point stays on the host.")] = 2,
    daily_days: Annotated[
        int, typer.Option(min=1, max=9999, help="Days a point stays in the vault (kept, not enforced yet).")
    ] = 30,
    require_consistency: Annotated[
        ConsistencyWord, typer.Option(help="A backup that reaches less fails.")
    ] = ConsistencyWord.CRASH,
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Make a policy, or change it. Its daily schedule is kept, but not run yet."""
    output = Output(as_json=as_json)
    document = document_of(
        standard_content(
            instant_days=instant_days,
            daily_days=daily_days,
            required_consistency=_CONSISTENCY[require_consistency],
        )
    )
    with session(directory, output) as client:
        policy = client.put_policy(client.vault(vault), name, document)
    _show(output, policy)


def _show(output: Output, policy: PolicyView) -> None:
    output.show(
        policy,
        facts(
            name=policy.name,
            vault=policy.vault,
            type=policy.type,
            days_on_host=policy.instant_retention_days,
            days_in_vault=policy.daily_retention_days,
            required_consistency=policy.required_consistency,
            protected_VMs=policy.protected_items,
        ),
    )
