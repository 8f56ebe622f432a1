"""``overwinter point``: single recovery points, deleted and had back."""

from typing import Annotated

import typer

from overwinter.cli.commands_protection import points
from overwinter.cli.confirm import Yes, confirm
from overwinter.cli.output import Output
from overwinter.cli.point_view import point_lines
from overwinter.cli.protection import point_named
from overwinter.cli.session import AsJson, Directory, VaultOption, session
from overwinter.model.settings import DEFAULT_DIRECTORY

app = typer.Typer(no_args_is_help=True, help="Recovery points of a VM.")
app.command("list", epilog="Example: overwinter point list web01")(points)

Vm = Annotated[str, typer.Argument(metavar="VM", help="Name of the VM.")]
Point = Annotated[str, typer.Argument(metavar="POINT", help="Id of the recovery point.")]


@app.command("show", epilog="Example: overwinter point show web01 1795286849656927")
def show_point(
    vm: Vm,
    point: Point,
    vault: VaultOption = None,
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Show one recovery point: how consistent it is, and what stood still when it was taken."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        found = point_named(client.points(client.item(vm, vault)), point, vm)
    output.show(found, *point_lines(found))


@app.command("delete", epilog="Example: overwinter point delete web01 1795286849656927")
def delete_point(
    vm: Vm,
    point: Point,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell whether it can be deleted and how long it is kept.")
    ] = False,
    yes: Yes = False,
    vault: VaultOption = None,
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Delete one recovery point; where the vault deletes softly it can be had back for some days."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        item = client.item(vm, vault)
        found = point_named(client.points(item), point, vm)
        holder = client.vault(item.vault)
        softly = holder.soft_delete != "Disabled" and "vault" in found.tier
        kept = f"can be had back for {holder.soft_delete_days} days" if softly else "is gone at once"
        client.protection.check_point_deletion(found)
        if dry_run:
            output.show(found, f"Recovery point {found.id} can be deleted; it {kept} then.")
            return
        confirm(f"Delete recovery point {found.id} of {vm}? It {kept}.", output, yes=yes)
        deleted = client.protection.delete_point(found, item)
    if deleted is None:
        output.show(found, f"Recovery point {found.id} is deleted.")
        return
    output.show(deleted, f"Recovery point {found.id} is deleted. It {kept}.")
    output.hint(f"Have it back: overwinter point undelete {vm} {found.id}")


@app.command("undelete", epilog="Example: overwinter point undelete web01 1795286849656927")
def undelete_point(
    vm: Vm,
    point: Point,
    vault: VaultOption = None,
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Have a deleted recovery point back."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        item = client.item(vm, vault)
        found = client.protection.undelete_point(point_named(client.points(item), point, vm), item)
    output.show(found, f"Recovery point {found.id} is back.")
