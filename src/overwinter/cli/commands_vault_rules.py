"""``overwinter vault update``: what a vault forbids."""

from enum import StrEnum
from typing import Annotated

import typer

from overwinter.cli.confirm import Yes, confirm
from overwinter.cli.output import Output, facts
from overwinter.cli.session import AsJson, Directory, session
from overwinter.model.settings import DEFAULT_DIRECTORY


class SoftDeleteWord(StrEnum):
    """Whether deleted data can be had back."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    ALWAYS_ON = "always-on"


class ImmutabilityWord(StrEnum):
    """Whether recovery points stay until they expire."""

    DISABLED = "disabled"
    UNLOCKED = "unlocked"
    LOCKED = "locked"


def update_vault(
    name: Annotated[str, typer.Argument(help="Name of the vault.")],
    soft_delete: Annotated[
        SoftDeleteWord | None,
        typer.Option(help="Whether deleted data can be had back; always-on can never be turned off."),
    ] = None,
    soft_delete_days: Annotated[
        int | None, typer.Option(min=14, max=180, help="For how many days after a deletion.")
    ] = None,
    immutability: Annotated[
        ImmutabilityWord | None,
        typer.Option(help="Nothing is deleted before it expires; locked can never be turned off."),
    ] = None,
    yes: Yes = False,
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Change what a vault forbids: soft delete and immutability."""
    output = Output(as_json=as_json)
    security: dict[str, dict[str, object]] = {"softDeleteSettings": {}, "immutabilitySettings": {}}
    if soft_delete is not None:
        security["softDeleteSettings"]["softDeleteState"] = soft_delete.value.replace("-", "")
    if soft_delete_days is not None:
        security["softDeleteSettings"]["softDeleteRetentionPeriodInDays"] = soft_delete_days
    if immutability is not None:
        security["immutabilitySettings"]["state"] = immutability.value
    if not any(security.values()):
        raise typer.BadParameter("Say what to change.", param_hint="'--soft-delete'")
    if soft_delete is SoftDeleteWord.ALWAYS_ON or immutability is ImmutabilityWord.LOCKED:
        confirm(f"This can never be taken back. Change vault {name}?", output, yes=yes)
    with session(directory, output) as client:
        vault = client.protection.set_rules(client.vault(name), security)
    output.show(
        vault,
        facts(
            name=vault.name,
            soft_delete=f"{vault.soft_delete}, {vault.soft_delete_days} days",
            immutability=vault.immutability,
        ),
    )
