"""``overwinter vm extension``: the extension inside a VM. Backups install and renew it by themselves."""

from typing import Annotated

import typer

from overwinter.cli.output import Output, facts
from overwinter.cli.session import AsJson, Directory, session
from overwinter.cli.views_extension import ExtensionView
from overwinter.model.settings import DEFAULT_DIRECTORY

app = typer.Typer(no_args_is_help=True, help="The extension inside a VM, which freezes and runs scripts.")

Vm = Annotated[str, typer.Argument(metavar="VM", help="Name of the VM.")]


@app.command("show", epilog="Example: overwinter vm extension show web01")
def show_extension(vm: Vm, directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False) -> None:
    """Show the extension as the guest tells of it now."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        _show(client.extensions.get(client.machine(vm).address), output)


@app.command("install", epilog="Example: overwinter vm extension install web01")
def install_extension(vm: Vm, directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False) -> None:
    """Install the extension now, or repair it."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        _show(client.extensions.install(client.machine(vm).address), output)


@app.command("remove", epilog="Example: overwinter vm extension remove web01")
def remove_extension(vm: Vm, directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False) -> None:
    """Take the extension away; the next backup installs it again."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        removed = client.extensions.remove(client.machine(vm).address)
    output.show({"removed": removed}, "Removed." if removed else "It was not installed.")


def _show(extension: ExtensionView, output: Output) -> None:
    output.show(
        extension,
        facts(
            name=extension.name,
            version=extension.version,
            state=extension.state,
            status=extension.message,
        ),
    )
