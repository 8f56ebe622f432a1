"""``overwinter profile``: what a service of an edition supports, and how it behaves at its limits."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from overwinter.api.shapes_profile import profile_shape
from overwinter.cli.language import spoken
from overwinter.cli.output import Output, facts, table
from overwinter.cli.session import AsJson, Directory, session
from overwinter.model.errors import NotFound
from overwinter.model.profile import PROFILES, find_profile
from overwinter.model.settings import DEFAULT_DIRECTORY

app = typer.Typer(
    no_args_is_help=True, help="Support profiles: chosen for a service with overwinter serve --profile NAME."
)


@app.command("list", epilog="Example: overwinter profile list")
def list_profiles(as_json: AsJson = False) -> None:
    """List the support profiles there are."""
    output = Output(as_json=as_json)
    shapes = [profile_shape(profile, spoken()) for profile in PROFILES]
    rows = [(str(shape["name"]), _largest(shape), _days(shape), _at_limit(shape)) for shape in shapes]
    output.show(shapes, table("NAME", "LARGEST DISK", "DAYS ON HOST", "BACKUP AT THE LIMIT", rows=rows))


@app.command("show", epilog="Example: overwinter profile show 2019")
def show_profile(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Name of a profile; else the running service's.")
    ] = None,
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Show a support profile: limits, behaviour, and where to look for the causes of its codes."""
    output = Output(as_json=as_json)
    shape = _named(name) if name is not None else _of_service(directory, output)
    rows = [
        (each["code"], place, cause["text"])
        for each in shape["codes"]
        for place, cause in enumerate(each["causes"], start=1)
    ]
    output.show(
        shape,
        facts(
            name=shape["name"],
            largest_disk=_largest(shape),
            largest_encrypted_disk=_largest(shape, "maxEncryptedDiskBytes"),
            days_on_host=_days(shape),
            restore_points_at_most=shape["maxInstantRestorePoints"],
            backup_at_the_limit=_at_limit(shape),
            running_without_guest_agent="is refused" if shape["needsGuestAgent"] else "as the policy says",
            stack_of_new_vaults=shape["newVaultStack"],
        ),
        *(f"Writes {other} for {code}." for code, other in shape["otherCodes"].items()),
        "",
        table("CODE", "", "CAUSE", rows=rows),
    )


def _named(name: str) -> Mapping[str, Any]:
    try:
        return profile_shape(find_profile(name), spoken())
    except NotFound as error:
        raise typer.BadParameter(error.message, param_hint="'NAME'") from None


def _of_service(directory: Path, output: Output) -> Mapping[str, Any]:
    with session(directory, output) as client:
        return client.point_work.profile()


def _largest(shape: Mapping[str, Any], key: str = "maxDiskBytes") -> str:
    def words(limits: Mapping[str, Any]) -> str:
        return "no limit" if limits[key] is None else f"{limits[key] >> 30} GiB"

    if len(shape["disks"]) == 1:
        return words(shape["disks"][0])
    return ", ".join(
        f"{words(limits)} (stack {limits['stack']}{'' if limits['standardSsd'] else ', no Standard SSD'})"
        for limits in shape["disks"]
    )


def _days(shape: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{kind['policyType']}: {kind['min']}" + ("" if kind["min"] == kind["max"] else f" to {kind['max']}")
        for kind in shape["snapshotRetentionDays"]
    )


def _at_limit(shape: Mapping[str, Any]) -> str:
    return "cleans up first" if shape["makesRoomAtLimit"] else "fails once, starts clean-up"
