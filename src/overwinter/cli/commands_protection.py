"""``overwinter backup``, ``points``, ``restore``: the main work."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from overwinter.cli.output import Output, size, table, text
from overwinter.cli.session import (
    AsJson,
    Directory,
    VaultOption,
    Wait,
    finish,
    session,
)
from overwinter.cli.views import PointView
from overwinter.model.errors import NotFound
from overwinter.model.settings import DEFAULT_DIRECTORY

Vm = Annotated[str, typer.Argument(metavar="VM", help="Name of the VM.")]


def backup(
    vm: Vm,
    retain_until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Keep the point until that day (UTC); 30 days without."),
    ] = None,
    vault: VaultOption = None,
    wait: Wait = False,
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Back up a VM now."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        finish(client, client.backup(client.item(vm, vault), retain_until), output, wait=wait)


def points(
    vm: Vm, vault: VaultOption = None, directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False
) -> None:
    """List the recovery points of a VM, newest first."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        found = client.points(client.item(vm, vault))
    deleted = ("DELETED UNTIL",) if any(point.deleted_until for point in found) else ()
    rows = [
        (
            point.id,
            point.created,
            point.consistency,
            point.tier,
            "incremental" if point.incremental else "full",
            size(point.bytes_read),
            size(point.bytes_stored),
            _kept(point),
            *(text(point.deleted_until) for _ in deleted),
        )
        for point in found
    ]
    headings = ("POINT", "CREATED", "CONSISTENCY", "TIER", "KIND", "READ", "STORED", "KEPT UNTIL", *deleted)
    output.show(found, table(*headings, rows=rows, whole="POINT"))


def restore(
    vm: Vm,
    point: Annotated[str, typer.Option(help="Id of the recovery point, or 'latest'.")],
    new_name: Annotated[str | None, typer.Option("--as", metavar="NAME", help="Restore as a new VM.")] = None,
    disks: Annotated[
        Path | None, typer.Option("--disks", metavar="DIR", help="Restore only the disks, as files in DIR.")
    ] = None,
    start: Annotated[
        bool, typer.Option("--start", help="Start the new VM; mind that the original may still run.")
    ] = False,
    into: Annotated[
        Path | None, typer.Option("--into", metavar="DIR", help="Where the new VM's disks are put.")
    ] = None,
    vault: VaultOption = None,
    wait: Wait = True,
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Restore a recovery point as a new VM, or its disks as files. Nothing that exists is overwritten."""
    output = Output(as_json=as_json)
    if (new_name is None) == (disks is None):
        raise typer.BadParameter(
            "Give either --as NAME (a new VM) or --disks DIR (files).", param_hint="'--as'"
        )
    if disks is not None and start:
        raise typer.BadParameter("Belongs to --as: only a VM can be started.", param_hint="'--start'")
    if disks is not None and into is not None:
        raise typer.BadParameter(
            "Belongs to --as; with --disks the directory is named there.", param_hint="'--into'"
        )
    with session(directory, output) as client:
        found = _choose(client.points(client.item(vm, vault)), point, vm)
        if new_name is not None:
            target = None if into is None else into.absolute()
            job = client.restore_as_vm(found, new_name, target, start=start)
        else:
            assert disks is not None, "checked above"
            job = client.restore_disks(found, disks.absolute())
        finish(client, job, output, wait=wait)


def _kept(point: PointView) -> str | None:
    """The day on which a point expires, and the rule of its policy that says so."""
    if point.expires is None:
        return None
    day = f"{point.expires.astimezone():%Y-%m-%d}"
    return day if point.rule is None else f"{day} ({point.rule})"


def _choose(found: list[PointView], name: str, vm: str) -> PointView:
    """The point of that id, or the newest; NotFound."""
    living = [point for point in found if point.deleted_until is None]
    if name == "latest" and living:
        return living[0]
    for point in found:
        if point.id == name:
            return point
    what = "has no recovery point yet" if name == "latest" else f"has no recovery point {name!r}"
    raise NotFound(f"The VM {vm!r} {what}.")


def add_to(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command(epilog="Example: overwinter backup web01 --wait")(backup)
    app.command(epilog="Example: overwinter points web01")(points)
    app.command(epilog="Example: overwinter restore web01 --point latest --as web01-copy")(restore)
