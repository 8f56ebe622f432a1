"""``overwinter vault key``: who may open a vault.

These commands work on the vault itself, in their own process: no secret goes through the service. They open
it with the secret the service uses, so they need the same rights as the service.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from overwinter.cli.output import Cell, Output, table
from overwinter.cli.session import AsJson, Directory, session
from overwinter.model.errors import OverwinterError, RequestError
from overwinter.model.settings import DEFAULT_DIRECTORY

if TYPE_CHECKING:
    from overwinter.vault import KeySource
    from overwinter.vault.storage import Storage

app = typer.Typer(no_args_is_help=True, help="Keys: who may open a vault. No data is written anew for them.")

Name = Annotated[str, typer.Argument(help="Name of the vault.")]
KeyId = Annotated[str, typer.Argument(metavar="KEY-ID", help="Id of the key, see: overwinter vault key list")]
Label = Annotated[
    str, typer.Option("--label", help="Words to know it by; whoever sees the storage reads them.")
]


@app.command("list", epilog="Example: overwinter vault key list main")
def list_keys(name: Name, directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False) -> None:
    """List the keys that open a vault; nothing secret is shown."""
    from overwinter.vault import UnreadableWrap, open_storage, wraps

    output = Output(as_json=as_json)
    with session(directory, output) as client:
        found = wraps(open_storage(client.vault(name).url))
    rows: list[tuple[Cell, ...]] = []
    values: list[dict[str, object]] = []
    for wrap in found:
        if isinstance(wrap, UnreadableWrap):
            rows.append((wrap.id, "damaged", None, wrap.reason))
            values.append(
                {"id": wrap.id, "kind": None, "created": None, "label": None, "damage": wrap.reason}
            )
        else:
            rows.append((wrap.id, wrap.kind.value, wrap.created, wrap.label))
            values.append(
                {
                    "id": wrap.id,
                    "kind": wrap.kind.value,
                    "created": wrap.created,
                    "label": wrap.label,
                    "damage": None,
                }
            )
    output.show(values, table("KEY-ID", "KIND", "CREATED", "LABEL", rows=rows, whole="KEY-ID"))


@app.command("add", epilog="Example: overwinter vault key add main --recovery")
def add_key(
    name: Name,
    recovery: Annotated[
        bool, typer.Option("--recovery", help="Make a recovery key and print it, to be kept on paper.")
    ] = False,
    passphrase: Annotated[bool, typer.Option("--passphrase", help="Ask for a passphrase.")] = False,
    new_file: Annotated[
        Path | None, typer.Option("--new-file", metavar="FILE", help="Write a new key file.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--key", metavar="KEY", help="A key that exists: a file, passphrase:FILE or pkcs11: URI."
        ),
    ] = None,
    label: Label = "",
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Let one more key open the vault."""
    from overwinter.vault import KeySource, add_wrap, key_at, new_recovery_key, with_absolute_path

    if sum((recovery, passphrase, new_file is not None, key is not None)) != 1:
        raise typer.BadParameter(
            "Say which one: --recovery, --passphrase, --new-file FILE or --key KEY.",
            param_hint="'--recovery'",
        )
    output = Output(as_json=as_json)
    words: str | None = None
    with _opened(name, directory, output) as (storage, present):
        if recovery:
            words = new_recovery_key()
            added = KeySource.from_recovery_key(words)
        elif passphrase:
            added = KeySource.from_passphrase(_typed_passphrase())
        elif new_file is not None:
            added = KeySource.new_key_file(new_file.absolute())
        else:
            added = key_at(with_absolute_path(str(key)))
        try:
            wrap = add_wrap(storage, present, added, label=label, created=datetime.now(UTC))
        except OverwinterError:
            if new_file is not None:
                new_file.unlink()  # it opens nothing
            raise
    value = {"id": wrap.id, "kind": wrap.kind.value, "label": wrap.label, "recovery_key": words}
    lines = [f"Key {wrap.id} ({wrap.kind.value}) opens the vault."]
    if words is not None:
        lines += ["", words, ""]
    output.show(value, *lines)
    if words is not None:
        output.hint("Write it down: it is not shown again. Whoever has it and the vault can read everything.")


@app.command("remove", epilog="Example: overwinter vault key remove main 5f1c0a9b7d3e2244")
def remove_key(
    name: Name, key_id: KeyId, directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False
) -> None:
    """Let a key open the vault no more. The one the service uses stays."""
    from overwinter.vault import remove_wrap

    output = Output(as_json=as_json)
    with _opened(name, directory, output) as (storage, present):
        remove_wrap(storage, present, key_id)
    output.show({"id": key_id}, f"Key {key_id} opens the vault no more.")
    output.hint("Whoever opened the vault with it before may have kept the data key: docs/vault-format.md.")


@app.command("change", epilog="Example: overwinter vault key change main 5f1c0a9b7d3e2244")
def change_key(
    name: Name,
    key_id: KeyId,
    label: Label = "",
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Replace a key by a passphrase that is asked for; the old one opens the vault no more."""
    from overwinter.vault import KeySource, change_wrap

    output = Output(as_json=as_json)
    with _opened(name, directory, output) as (storage, present):
        new = KeySource.from_passphrase(_typed_passphrase())
        wrap = change_wrap(storage, present, key_id, new, label=label, created=datetime.now(UTC))
    output.show(
        {"id": wrap.id, "kind": wrap.kind.value}, f"Key {wrap.id} ({wrap.kind.value}) took its place."
    )


@app.command("use", epilog="Example: overwinter vault key use main main.key")
def use_key(
    name: Name,
    key: Annotated[
        str,
        typer.Argument(metavar="KEY", help="A key file, passphrase:FILE, recovery:FILE, or a pkcs11: URI."),
    ],
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Let the service open the vault with another key, that opens it already."""
    from overwinter.vault import with_absolute_path

    output = Output(as_json=as_json)
    with session(directory, output) as client:
        vault = client.vault_work.use_key(client.vault(name), with_absolute_path(key))
    output.show(vault, f"The service opens vault {vault.name} with {vault.key}.")


@contextmanager
def _opened(name: str, directory: Path, output: Output) -> "Iterator[tuple[Storage, KeySource]]":
    """The storage of a vault, and the secret that the service opens it with."""
    from overwinter.vault import key_at, open_storage

    with session(directory, output) as client:
        vault = client.vault(name)
        yield open_storage(vault.url), key_at(vault.key)


def _typed_passphrase() -> str:
    """A passphrase from the terminal, typed twice; from standard input where that is no terminal."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    typed = getpass("New passphrase: ")
    if getpass("Once more: ") != typed:
        raise RequestError("The two passphrases differ; nothing was changed.")
    return typed
