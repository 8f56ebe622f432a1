"""``overwinter explain``: what a code means, why it happens and what to do. Needs no running service."""

from typing import Annotated

import typer
from rich.console import RenderableType

from overwinter.cli.explanations import picture
from overwinter.cli.language import Language, wanted
from overwinter.cli.output import Output, table
from overwinter.cli.session import AsJson
from overwinter.codebook import book
from overwinter.codebook.explanation import Explanation, explain
from overwinter.codebook.texts import Texts, texts_in


def explain_code(
    code: Annotated[
        str | None, typer.Argument(metavar="CODE", help="A code or its number; without one all are listed.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Explain every code.")] = False,
    language: Language = None,
    as_json: AsJson = False,
) -> None:
    """Explain an error code: what it means, why it happens, what to do and who can do it."""
    output = Output(as_json=as_json)
    texts = texts_in(wanted(language))
    if code is not None and everything:
        raise typer.BadParameter("Give a code or --all, not both.", param_hint="'CODE'")
    if code is not None:
        told = explain(_entry(code), texts)
        output.show(told, *picture(told, texts))
        return
    every = [explain(entry, texts) for entry in book.entries()]
    if everything:
        output.show(every, *(part for told in every for part in _chapter(told, texts)))
        return
    rows = [(told.number, told.code, told.title) for told in every]
    headings = (texts.word(key) for key in ("number", "code", "title"))
    output.show(every, table(*headings, rows=rows))


def _chapter(told: Explanation, texts: Texts) -> list[RenderableType]:
    return [*picture(told, texts), "", ""]


def _entry(code: str) -> book.Entry:
    found = book.find(code)
    if found is None:
        near = " or ".join(entry.code for entry in book.similar(code))
        advice = f"Did you mean {near}?" if near else "See them all: overwinter explain"
        raise typer.BadParameter(f"There is no code {code!r}. {advice}", param_hint="'CODE'")
    return found
