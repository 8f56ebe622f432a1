"""``overwinter collection``: the restore points that lie on the host, by collection."""

from typing import Annotated

import typer

from overwinter.cli.output import Output, facts, table
from overwinter.cli.session import AsJson, Directory, VaultOption, Wait, finish, session
from overwinter.cli.views_points import CollectionView, RestorePointView
from overwinter.model.errors import NotFound
from overwinter.model.settings import DEFAULT_DIRECTORY

app = typer.Typer(
    no_args_is_help=True,
    help="Restore point collections: the points of VMs that lie on the host, hidden elsewhere.",
)

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of the collection, or of a VM that has only one.")
]
Group = Annotated[str | None, typer.Option("--group", metavar="GROUP", help="Its resource group.")]


@app.command("list", epilog="Example: overwinter collection list")
def list_collections(directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False) -> None:
    """List all collections."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        found = client.point_work.collections()
    rows = [
        (each.name, each.resource_group, each.vm, each.restore_points, each.newest, "; ".join(each.locks))
        for each in found
    ]
    output.show(found, table("NAME", "GROUP", "VM", "POINTS", "NEWEST", "LOCKS", rows=rows, whole="NAME"))


@app.command("show", epilog="Example: overwinter collection show web01")
def show_collection(
    name: Name, group: Group = None, directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False
) -> None:
    """Show one collection and its restore points, oldest first."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        found = client.point_work.collection(name, group)
    rows = [
        (point.name, point.created, point.consistency, "no" if point.snapshot_only else "yes", point.layers)
        for point in found.points or ()
    ]
    output.show(
        found,
        facts(name=found.name, group=found.resource_group, vm=found.vm, points=found.restore_points),
        *(f"Lock {lock}" for lock in found.locks),
        "",
        table("RESTORE POINT", "CREATED", "CONSISTENCY", "IN A VAULT", "FILES", rows=rows),
    )


@app.command("delete", epilog="Example: overwinter collection delete web01 --dry-run")
def delete_collection(
    name: Name,
    group: Group = None,
    point: Annotated[
        str | None, typer.Option("--point", metavar="NAME", help="Only this restore point.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be deleted, and change nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Wait = True,
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Delete the restore points of a collection. What vaults hold stays there.

    A job in the background does it in small steps; a collection of any size is done at some time.
    """
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        found = client.point_work.collection(name, group)
        doomed = _doomed(found, point)
        lost = sum(each.snapshot_only for each in doomed)
        what = f"{len(doomed)} restore point(s) of {found.vm} in {found.name}"
        warning = f" {lost} of them are in no vault: those recovery points are lost." if lost else ""
        if dry_run:
            rows = [(each.name, each.created, "no" if each.snapshot_only else "yes") for each in doomed]
            output.show(
                {"would_delete": doomed, "locks": found.locks},
                f"Would delete {what}.{warning}",
                *(f"But lock {lock} forbids it." for lock in found.locks),
                table("RESTORE POINT", "CREATED", "IN A VAULT", rows=rows),
            )
            return
        if not yes and not typer.confirm(f"Delete {what}?{warning}", err=True):
            raise typer.Exit(1)
        job = client.point_work.delete_collection(found, point)
        if job is None:
            output.show(found, "It is deleted already.")
            return
        finish(client, job, output, wait=wait)


@app.command("clean-up", epilog="Example: overwinter collection clean-up web01")
def clean_up(
    vm: Annotated[str, typer.Argument(metavar="VM", help="Name of the VM.")],
    vault: VaultOption = None,
    wait: Wait = True,
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Remove the restore points of a VM that have expired, as every backup does too."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        finish(client, client.point_work.clean_up(client.item(vm, vault)), output, wait=wait)


def _doomed(collection: CollectionView, point: str | None) -> list[RestorePointView]:
    """The points that would go; NotFound when there is none of that name."""
    found = [each for each in collection.points or () if point in (None, each.name)]
    if point is not None and not found:
        raise NotFound(f"There is no restore point {point!r} in {collection.name}.")
    return found
