"""The ``overwinter`` command."""

from importlib.metadata import version
from typing import Annotated

import typer

from overwinter.cli import (
    commands_collection,
    commands_doctor,
    commands_explain,
    commands_guest_doctor,
    commands_item,
    commands_job,
    commands_lock,
    commands_point,
    commands_policy,
    commands_profile,
    commands_protection,
    commands_serve,
    commands_vault,
    commands_vm,
)

app = typer.Typer(
    name="overwinter",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Backup of virtual machines on libvirt and QEMU, in the manner of Azure VM Backup.",
    epilog="Exit status: 0 done, 1 failed, 2 wrong use. First steps: overwinter serve; overwinter vm list",
)
app.command(epilog="Example: overwinter serve --dir /var/lib/overwinter")(commands_serve.serve)
app.add_typer(commands_vm.app, name="vm")
app.add_typer(commands_vault.app, name="vault")
app.add_typer(commands_policy.app, name="policy")
commands_item.add_to(app)
commands_protection.add_to(app)
app.add_typer(commands_collection.app, name="collection")
app.add_typer(commands_lock.app, name="lock")
app.add_typer(commands_profile.app, name="profile")
app.add_typer(commands_point.app, name="point")
app.add_typer(commands_job.app, name="job")
app.command(epilog="Example: overwinter doctor web01")(commands_doctor.doctor)
app.command("explain", epilog="Example: overwinter explain UserErrorRpCollectionLimitReached")(
    commands_explain.explain_code
)
app.command("guest-doctor", epilog="Example: overwinter guest-doctor --output /tmp/doctor")(
    commands_guest_doctor.guest_doctor
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"overwinter {version('overwinter')}")
        raise typer.Exit


@app.callback()
def _every(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    return None


def main() -> None:
    """Run the command line."""
    app(prog_name="overwinter")


if __name__ == "__main__":
    main()
