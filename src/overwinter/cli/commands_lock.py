"""``overwinter lock``: keep restore points from being deleted."""

from enum import StrEnum
from typing import Annotated

import typer

from overwinter.cli.client import Client
from overwinter.cli.output import Output, table
from overwinter.cli.session import AsJson, Directory, session
from overwinter.model.settings import DEFAULT_DIRECTORY

app = typer.Typer(no_args_is_help=True, help="Locks: keep restore points on the host from being deleted.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the lock.")]
Group = Annotated[
    str | None, typer.Option("--group", metavar="GROUP", help="The resource group that is locked.")
]
Collection = Annotated[
    str | None,
    typer.Option("--collection", metavar="NAME", help="The restore point collection that is locked."),
]


class Level(StrEnum):
    """What a lock forbids, as people type it."""

    CAN_NOT_DELETE = "CanNotDelete"
    READ_ONLY = "ReadOnly"


@app.command(
    "create", epilog="Example: overwinter lock create keep --collection web01 --notes 'for the audit'"
)
def create_lock(
    name: Name,
    group: Group = None,
    collection: Collection = None,
    level: Annotated[
        Level,
        typer.Option(
            case_sensitive=False, help="ReadOnly also forbids new points: backups fail as long as it holds."
        ),
    ] = Level.CAN_NOT_DELETE,
    notes: Annotated[str | None, typer.Option("--notes", help="Why, for those who find it.")] = None,
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Lock a resource group or a collection: nothing in it is cleaned up or deleted."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        scope = _scope(client, group, collection)
        if scope is None:
            raise typer.BadParameter("Say what is locked: --group or --collection.", param_hint="'--group'")
        lock = client.point_work.create_lock(name, scope, level.value, notes)
    output.show(lock, f"Lock {lock.name} ({lock.level}) holds {lock.scope}.")
    output.hint(
        "Restore points under it are not cleaned up any more; at 18 of them backups of the VM fail. "
        f"Remove it: overwinter lock delete {lock.name}"
    )


@app.command("list", epilog="Example: overwinter lock list")
def list_locks(directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False) -> None:
    """List all locks."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        locks = client.point_work.locks()
    rows = [(lock.name, lock.level, lock.scope, lock.created, lock.notes) for lock in locks]
    output.show(locks, table("NAME", "LEVEL", "SCOPE", "CREATED", "NOTES", rows=rows))


@app.command("delete", epilog="Example: overwinter lock delete keep")
def delete_lock(
    name: Name,
    group: Group = None,
    collection: Collection = None,
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Remove a lock. Nothing is deleted by that; the next clean-up removes what has expired."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        lock = client.point_work.lock(name, _scope(client, group, collection))
        client.point_work.delete_lock(lock)
    output.show(lock, f"Lock {lock.name} on {lock.scope} is removed.")


def _scope(client: Client, group: str | None, collection: str | None) -> str | None:
    """Address of what the options name; a collection may be narrowed down by its group."""
    if collection is not None:
        return client.point_work.collection(collection, group).address
    return None if group is None else client.point_work.group_scope(group)
