"""``overwinter guest-doctor``: write the program that examines a guest from within, to be carried there."""

import hashlib
import os
from pathlib import Path
from typing import Annotated

import typer

from overwinter.cli.failure import Failure
from overwinter.cli.output import Output, size
from overwinter.cli.session import AsJson
from overwinter.guest.doctor_package import FILE_NAME, doctor_package
from overwinter.model.errors import AlreadyExists, OverwinterError, RequestError


def guest_doctor(
    file: Annotated[
        Path, typer.Option("--output", metavar="FILE", help="Where to write it; nothing is overwritten.")
    ] = Path(FILE_NAME),
    as_json: AsJson = False,
) -> None:
    """Write the doctor for inside a guest: one file for any Linux with Python 3.6, Azure VMs included.

    Copy it into the guest and run it there as root. It needs no service and changes nothing.
    """
    output = Output(as_json=as_json)
    content = doctor_package()
    path = file.absolute()
    try:
        _write(path, content)
    except OverwinterError as error:
        output.failure(Failure.of(error))
        raise typer.Exit(1) from None
    digest = hashlib.sha256(content).hexdigest()
    output.show(
        {"path": str(path), "bytes": len(content), "sha256": digest},
        f"Wrote {path} ({size(len(content))}).",
    )
    output.hint(f"In the guest, as root: python3 {path.name}")


def _write(path: Path, content: bytes) -> None:
    """Write a new program. Raises AlreadyExists, RequestError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o755)
    except FileExistsError:
        raise AlreadyExists(f"{path} exists already and was not touched.") from None
    except OSError as error:
        raise RequestError(f"{path} cannot be written: {error.strerror}.") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError as error:
        path.unlink()
        raise RequestError(f"{path} cannot be written: {error.strerror}.") from None
