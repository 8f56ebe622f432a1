"""Questions before something is done that is hard or impossible to take back."""

from typing import Annotated

import typer

from overwinter.cli.output import Output

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def confirm(question: str, output: Output, *, yes: bool) -> None:
    """Ask; a no ends the command with status 1. With ``--json`` nobody can be asked: that is wrong use."""
    if yes:
        return
    if output.as_json:
        raise typer.BadParameter("With --json nobody is asked: give --yes as well.", param_hint="'--yes'")
    typer.confirm(question, abort=True, err=True)
