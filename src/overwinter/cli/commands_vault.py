"""``overwinter vault``: where protected VMs and their recovery points are kept, and work on whole vaults."""

from collections.abc import Sequence
from typing import Annotated
from urllib.parse import urlsplit

import typer
from typer.core import TyperCommand

from overwinter.cli import commands_vault_key, commands_vault_rules
from overwinter.cli.output import Output, facts, table
from overwinter.cli.session import AsJson, Directory, Wait, finish, session
from overwinter.cli.vault_reports import show_stats
from overwinter.model.settings import DEFAULT_DIRECTORY

app = typer.Typer(no_args_is_help=True, help="Vaults: where recovery points are kept.")
app.add_typer(commands_vault_key.app, name="key")
app.command("update", epilog="Example: overwinter vault update main --soft-delete-days 30")(
    commands_vault_rules.update_vault
)

Name = Annotated[str, typer.Argument(help="Name of the vault.")]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="KEY",
        help="What opens the vault: a key file, passphrase:FILE, recovery:FILE, or a pkcs11: URI.",
    ),
]


class _ReadData(TyperCommand):
    """Lets ``--read-data`` stand without a number, which then is 100."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Fill in the number."""
        filled: list[str] = []
        for place, word in enumerate(args):
            filled.append(word)
            following = args[place + 1] if place + 1 < len(args) else ""
            if word == "--read-data" and not following.removeprefix(".")[:1].isdecimal():
                filled.append("100")
        return super().parse_args(ctx, filled)


@app.command("create", epilog="Example: overwinter vault create main")
def create_vault(
    name: Name,
    url: Annotated[
        str | None,
        typer.Option(
            "--url", help="Where it lies: file:///…, s3://… or azure://…; else in the state directory."
        ),
    ] = None,
    key: KeyOption = None,
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Make a vault; one that exists stays as it is. Without --key it gets a new key file."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        vault = client.vault_work.create(name, url, None if key is None else _absolute(key))
    output.show(vault, f"Vault {vault.name} is at {vault.url}.")
    output.hint(
        f"Without {vault.key} nobody can read the vault: keep a copy elsewhere, or print a recovery key: "
        f"overwinter vault key add {vault.name} --recovery"
    )


@app.command("attach", epilog="Example: overwinter vault attach file:///mnt/backup/main --key main.key")
def attach_vault(
    url: Annotated[str, typer.Argument(help="Where the vault lies: file:///…, s3://… or azure://…")],
    key: Annotated[
        str,
        typer.Option(
            "--key",
            metavar="KEY",
            help="What opens it: a key file, passphrase:FILE, recovery:FILE, or a pkcs11: URI.",
        ),
    ],
    name: Annotated[
        str | None, typer.Option("--name", help="Its name here; without, the last part of where it lies.")
    ] = None,
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Take in a vault that exists, with every recovery point in it: after a disaster, or on another host.

    Nothing is written to it. Once more for the same vault takes in what was added since.
    """
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        attached = client.vault_work.attach(name or _name_in(url), url, _absolute(key))
        vault = attached.vault
        items = client.items(vault)
    rows = [(item.vm, item.state) for item in items]
    output.show(
        attached,
        f"Vault {vault.name} is attached: {attached.new_points} new recovery point(s) of "
        f"{attached.new_vms} VM(s).",
        *(f"Damaged: {problem}" for problem in attached.problems),
        "",
        table("VM", "PROTECTION", rows=rows),
    )
    if attached.problems:
        output.hint(f"Save what is whole: overwinter vault repair {vault.name}")
        raise typer.Exit(1)
    output.hint("List points: overwinter points VM. Restore: overwinter restore VM --point latest --as NAME")


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
    rows = [
        (i.vm, i.policy, i.protection, i.health, i.last_backup, i.last_backup_status, i.deleted_until)
        for i in items
    ]
    headings = ("VM", "POLICY", "PROTECTION", "HEALTH", "LAST BACKUP", "RESULT", "DELETED UNTIL")
    output.show(
        {"vault": vault, "items": items},
        facts(
            name=vault.name,
            place=vault.url,
            key=vault.key,
            stack=vault.stack,
            created=vault.created,
            soft_delete=f"{vault.soft_delete}, {vault.soft_delete_days} days",
            immutability=vault.immutability,
        ),
        "",
        table(*headings, rows=rows),
    )


@app.command("stats", epilog="Example: overwinter vault stats main --points")
def vault_stats(
    name: Name,
    points: Annotated[bool, typer.Option("--points", help="List every recovery point too.")] = False,
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Show what a vault holds and costs: in all, per VM, per recovery point, and when it will be full."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        show_stats(output, client.vault_work.stats(client.vault(name)), with_points=points)


@app.command("verify", cls=_ReadData, epilog="Example: overwinter vault verify main --read-data 10")
def verify_vault(
    name: Name,
    read_data: Annotated[
        float,
        typer.Option(
            "--read-data",
            metavar="[PERCENT]",
            min=0,
            max=100,
            help="Also read so much of the data and compare it with its hashes; all of it without a number. "
            "Each run reads another part.",
        ),
    ] = 0,
    point: Annotated[
        str | None, typer.Option("--point", metavar="ID", help="Only what this recovery point needs.")
    ] = None,
    wait: Wait = True,
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Find out whether everything that recovery points need is in the vault and whole.

    Damage is told with the VM, disk, place and point it touches; the next backup of a disk stores anew what
    the disk still has.
    """
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        job = client.vault_work.verify(client.vault(name), read_data, point)
        finish(client, job, output, wait=wait)


@app.command("repair", epilog="Example: overwinter vault repair main")
def repair_vault(
    name: Name,
    remove_lost: Annotated[
        bool,
        typer.Option("--remove-lost", help="Remove recovery points that cannot be restored; else they stay."),
    ] = False,
    wait: Wait = True,
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Make a damaged vault usable again: a new index from what is whole, and a list of what is lost."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        job = client.vault_work.repair(client.vault(name), remove_lost=remove_lost)
        finish(client, job, output, wait=wait)


@app.command("copy", epilog="Example: overwinter vault copy main offsite")
def copy_vault(
    source: Annotated[str, typer.Argument(help="Name of the vault to copy from.")],
    target: Annotated[str, typer.Argument(help="Name of the vault to copy to; it has its own key.")],
    points: Annotated[
        str | None, typer.Option("--points", metavar="ID,…", help="Only these recovery points; else all.")
    ] = None,
    wait: Wait = True,
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Copy recovery points into another vault.

    What it has is not stored again; an interrupted copy goes on where it was.
    """
    output = Output(as_json=as_json)
    wanted: Sequence[str] | None = None if points is None else [part for part in points.split(",") if part]
    if wanted == []:
        raise typer.BadParameter("Name at least one recovery point.", param_hint="'--points'")
    with session(directory, output) as client:
        job = client.vault_work.copy(client.vault(source), client.vault(target), wanted)
        finish(client, job, output, wait=wait)


@app.command("clean-up", epilog="Example: overwinter vault clean-up main")
def clean_up_vault(
    name: Name, wait: Wait = True, directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False
) -> None:
    """Remove what has expired, and free the space of what no recovery point needs.

    Backups may run meanwhile. The service does it by itself when something is due.
    """
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        finish(client, client.vault_work.clean_up(client.vault(name)), output, wait=wait)


@app.command("upgrade", epilog="Example: overwinter vault upgrade main")
def upgrade_vault(name: Name, directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False) -> None:
    """Bring a vault to backup stack V2, as the 2018 edition needs for large and Standard SSD disks.

    There is no way back.
    """
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        vault = client.vault_work.upgrade_stack(client.vault(name))
    output.show(vault, f"Vault {vault.name} is of backup stack {vault.stack}.")


@app.command("detach", epilog="Example: overwinter vault detach main")
def detach_vault(name: Name, directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False) -> None:
    """Forget a vault. Its content and its key stay where they are, and it can be attached again."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        vault = client.vault(name)
        client.vault_work.detach(vault)
    output.show(vault, f"Vault {vault.name} is forgotten; it still lies at {vault.url}.")
    output.hint(
        f"Attach it again: overwinter vault attach '{vault.url}' --key {vault.key} --name {vault.name}"
    )


@app.command("delete", epilog="Example: overwinter vault delete main")
def delete_vault(name: Name, directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False) -> None:
    """Remove an empty vault."""
    output = Output(as_json=as_json)
    with session(directory, output) as client:
        vault = client.vault(name)
        client.vault_work.delete(vault)
    output.show(vault, f"Vault {vault.name} is deleted.")


def _name_in(url: str) -> str:
    return urlsplit(url).path.rstrip("/").rpartition("/")[2]


def _absolute(key: str) -> str:
    # Only few commands need the vault room; the others start faster without it.
    from overwinter.vault import with_absolute_path

    return with_absolute_path(key)
