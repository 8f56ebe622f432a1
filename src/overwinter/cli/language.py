"""The language that a command speaks: the one asked for, or of its environment (LC_ALL,
LC_MESSAGES, LANG).
"""

import os
from typing import Annotated

import typer

from overwinter.codebook import languages

Language = Annotated[
    str | None,
    typer.Option("--lang", metavar="LANGUAGE", help="Language of the answer; else the environment's."),
]


def spoken() -> str:
    """The code book's language for this process."""
    return languages.of_environment(os.environ)


def wanted(asked: str | None) -> str:
    """The language that a command was asked for, or that of the process. Raises typer.BadParameter."""
    found = spoken() if asked is None else languages.match(asked)
    if found is None:
        known = ", ".join(languages.available())
        raise typer.BadParameter(f"There is no {asked!r}. Those that exist: {known}.", param_hint="'--lang'")
    return found
