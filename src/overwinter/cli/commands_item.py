"""``overwinter protect``, ``modify``, ``resume``, ``unprotect``, ``undelete``: the life of protection."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from overwinter.cli.client import Client
from overwinter.cli.output import Output, table
from overwinter.cli.protection import chosen_disks
from overwinter.cli.session import AsJson, Directory, VaultOption, Wait, finish, session
from overwinter.cli.views import ItemView, MachineView
from overwinter.model.disk_selection import DiskSelection
from overwinter.model.policy import DEFAULT_POLICY
from overwinter.model.settings import DEFAULT_DIRECTORY

Vm = Annotated[str, typer.Argument(metavar="VM", help="Name of the VM.")]
Exclude = Annotated[
    str | None,
    typer.Option(
        "--exclude-disks",
        metavar="LUN,…",
        help="Data disks to leave out, by LUN or target. None: an empty text.",
    ),
]
Include = Annotated[
    str | None,
    typer.Option(
        "--include-disks",
        metavar="LUN,…",
        help="The only data disks to back up, by LUN or target. None: an empty text.",
    ),
]


def protect(
    vm: Vm,
    vault: Annotated[str, typer.Option(help="The vault that shall hold its recovery points.")],
    policy: Annotated[
        str, typer.Option(help="What backups must reach and how long points are kept.")
    ] = DEFAULT_POLICY,
    exclude_disks: Exclude = None,
    include_disks: Include = None,
    wait: Wait = True,
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Protect a VM, all its disks or some, or go on with one whose protection was stopped."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        machine = client.machine(vm)
        disks = _disks(machine, exclude_disks, include_disks)
        job = client.protection.protect(client.vault(vault), machine, policy, disks)
        finish(client, job, output, wait=wait)


def modify(
    vm: Vm,
    policy: Annotated[str | None, typer.Option(help="Another policy of the same vault.")] = None,
    exclude_disks: Exclude = None,
    include_disks: Include = None,
    vault: VaultOption = None,
    wait: Wait = True,
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Give a protected VM another policy, or choose which disks its next backups cover."""
    output = Output(as_json=as_json)
    if policy is None and exclude_disks is None and include_disks is None:
        raise typer.BadParameter("Say what to change.", param_hint="'--policy'")
    with session(directory, output) as client:
        item, machine = _item_and_machine(client, vm, vault)
        disks = _disks(machine, exclude_disks, include_disks)
        job = client.protection.protect(client.vault(item.vault), machine, policy or item.policy, disks)
        finish(client, job, output, wait=wait)


def resume(
    vm: Vm,
    policy: Annotated[str | None, typer.Option(help="A policy; else the one it had.")] = None,
    vault: VaultOption = None,
    wait: Wait = True,
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Go on protecting a VM whose protection was stopped or suspended, with the points it has."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        item, machine = _item_and_machine(client, vm, vault)
        job = client.protection.protect(client.vault(item.vault), machine, policy or item.policy, None)
        finish(client, job, output, wait=wait)


def unprotect(
    vm: Vm,
    keep_data: Annotated[bool, typer.Option("--keep-data", help="Keep the recovery points.")] = False,
    keep_as_policy: Annotated[
        bool, typer.Option("--keep-as-policy", help="Keep them as long as the policy says, the newest on.")
    ] = False,
    delete_data: Annotated[
        bool, typer.Option("--delete-data", help="Delete all recovery points too, as the vault's rules say.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what --delete-data deletes.")] = False,
    vault: VaultOption = None,
    wait: Wait = True,
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Stop protecting a VM; it gets its original disk files back."""
    output = Output(as_json=as_json)
    if [keep_data, keep_as_policy, delete_data].count(True) != 1:
        raise typer.BadParameter(
            "Say which: --keep-data, --keep-as-policy or --delete-data.", param_hint="'--keep-data'"
        )
    if dry_run and not delete_data:
        raise typer.BadParameter("Belongs to --delete-data.", param_hint="'--dry-run'")
    with session(directory, output) as client:
        item = client.item(vm, vault)
        if dry_run:
            _tell_deletion(client, item, output)
            return
        if delete_data:
            job = client.protection.delete_data(item)
        else:
            job = client.protection.stop(item, expire=keep_as_policy)
        finish(client, job, output, wait=wait)


def undelete(
    vm: Vm,
    vault: VaultOption = None,
    wait: Wait = True,
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Have back the backup data of a VM that was deleted with unprotect --delete-data."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        finish(client, client.protection.undelete(client.item(vm, vault)), output, wait=wait)
        output.hint(f"Back up again: overwinter resume {vm}. Or restore: overwinter restore {vm} …")


def _item_and_machine(client: Client, vm: str, vault: str | None) -> tuple[ItemView, MachineView]:
    item = client.item(vm, vault)
    return item, client.machine(item.vm)


def _disks(machine: MachineView, exclude: str | None, include: str | None) -> DiskSelection | None:
    if exclude is not None and include is not None:
        raise typer.BadParameter("Give one of the two lists.", param_hint="'--include-disks'")
    if exclude is not None:
        return chosen_disks(machine, exclude, included=False)
    return None if include is None else chosen_disks(machine, include, included=True)


def _tell_deletion(client: Client, item: ItemView, output: Output) -> None:
    found = [point for point in client.points(item) if point.deleted_until is None]
    vault = client.vault(item.vault)
    kept = "they would be gone at once"
    if vault.soft_delete != "Disabled":
        until = datetime.now(UTC) + timedelta(days=vault.soft_delete_days)
        kept = f"they could be had back until {until.astimezone():%Y-%m-%d}"
    rows = [(point.id, point.created, point.tier) for point in found]
    sentence = f"{len(found)} recovery point(s) of {item.vm} would be deleted; {kept}."
    output.show(found, table("POINT", "CREATED", "TIER", rows=rows), sentence)


def add_to(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command(epilog="Example: overwinter protect web01 --vault main")(protect)
    app.command(epilog="Example: overwinter modify web01 --exclude-disks vdc")(modify)
    app.command(epilog="Example: overwinter unprotect web01 --keep-data")(unprotect)
    app.command(epilog="Example: overwinter resume web01")(resume)
    app.command(epilog="Example: overwinter undelete web01")(undelete)
