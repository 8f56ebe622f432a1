"""``overwinter vault``: where protected VMs and their recovery points are kept."""

from typing import Annotated

import typer

from overwinter.cli.output import Output, facts, table
from overwinter.cli.session import AsJson, Directory, session
from overwinter.model.settings import DEFAULT_DIRECTORY

app = typer.Typer(no_args_is_help=True, help="Vaults: where recovery points are kept.")

Name = Annotated[str, typer.Argument(help="Name of the vault.")]


@app.command("create", epilog="Example: overwinter vault create main")
def create_vault(name: Name, directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False) -> None:
    """Make a vault; one that exists stays as it is."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        vault = client.create_vault(name)
    output.show(vault, f"Vault {vault.name} is at {vault.url}.")
    output.hint(f"Keep a copy of its key elsewhere: without {vault.key_file} nobody can read the vault.")


@app.command("list", epilog="Example: overwinter vault list")
def list_vaults(directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False) -> None:
    """List all vaults."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        vaults = client.vaults()
    rows = [(vault.name, vault.created, vault.key_kind, vault.url) for vault in vaults]
    output.show(vaults, table("NAME", "CREATED", "KEY", "PLACE", rows=rows))


@app.command("show", epilog="Example: overwinter vault show main")
def show_vault(name: Name, directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False) -> None:
    """Show one vault and the VMs in it."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        vault = client.vault(name)
        items = client.items(vault)
    rows = [(i.vm, i.policy, i.state, i.last_backup, i.last_backup_status) for i in items]
    output.show(
        {"vault": vault, "items": items},
        facts(name=vault.name, place=vault.url, key=vault.key_file, created=vault.created),
        "",
        table("VM", "POLICY", "PROTECTION", "LAST BACKUP", "RESULT", rows=rows),
    )


@app.command("delete", epilog="Example: overwinter vault delete main")
def delete_vault(name: Name, directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False) -> None:
    """Remove an empty vault."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        vault = client.vault(name)
        client.delete_vault(vault)
    output.show(vault, f"Vault {vault.name} is deleted.")
