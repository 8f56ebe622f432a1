"""``overwinter doctor VM --bundle FILE``: a support bundle, written so that only its owner can read it."""

import os
from pathlib import Path
from typing import Annotated

import typer

from overwinter.api.files import PRIVATE, create_file
from overwinter.cli.client import Client
from overwinter.cli.output import Output, size
from overwinter.cli.session import session
from overwinter.model.errors import AlreadyExists, RequestError

BundleFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Write a zip for whoever helps you: facts, jobs, logs; secrets are taken out."
    ),
]


def save_bundle(vm: str, file: Path, directory: Path, output: Output) -> None:
    """Have the service make a bundle and write it to a new file; status 1 when that fails."""
    with session(directory, output) as client:
        length = _save(client, vm, file.absolute())
    output.show(
        {"vm": vm, "file": str(file.absolute()), "bytes": length},
        f"Written: {file}, {size(length)}. Secrets were taken out; README.txt in it tells what is there.",
    )
    output.hint("Look through it before you give it away: names of machines, users and files are in it.")


def _save(client: Client, vm: str, file: Path) -> int:
    """Write the bundle; its bytes. Raises AlreadyExists, RequestError."""
    if file.exists():
        raise _exists(file)
    if not os.access(file.parent, os.W_OK | os.X_OK):
        raise RequestError(f"{file.parent} is no directory that you can write to.")
    content = client.support_bundle(vm)
    try:
        if not create_file(file, content, PRIVATE):
            raise _exists(file)
    except OSError as error:
        raise RequestError(f"{file} cannot be written: {error.strerror}.") from error
    return len(content)


def _exists(file: Path) -> AlreadyExists:
    return AlreadyExists(f"{file} exists already and was not touched. Choose another name.")
