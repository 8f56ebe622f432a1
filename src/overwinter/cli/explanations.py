"""How a code's explanation looks on a terminal: facts, then a tree from the causes to what mends them."""

import re
from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from overwinter.cli.output import facts_of
from overwinter.codebook.book import Health
from overwinter.codebook.explanation import Explanation, Step
from overwinter.codebook.texts import Texts

_COLOURS = {Health.PASSED: "green", Health.SUGGESTED: "yellow", Health.REQUIRED: "red"}

#: Marks what a machine may do.
_AUTOMATIC = "⚙"

_COMMAND = re.compile(r"`([^`]*)`")


def picture(told: Explanation, texts: Texts) -> Iterator[RenderableType]:
    """The parts of an explanation, top to bottom."""
    yield Text.assemble((f"{told.number} ", "dim"), (told.code, "bold"))
    yield Text(told.title, style="bold cyan")
    yield ""
    yield _facts(told, texts)
    yield ""
    reasons = Tree(Text(texts.word("causes"), style="bold"))
    for place, cause in enumerate(told.causes, start=1):
        branch = reasons.add(Text(f"{place}. {cause.text}"))
        for step in cause.remedies:
            branch.add(_step(step, texts))
    yield reasons
    if told.remedies:
        general = Tree(Text(texts.word("remedies"), style="bold"))
        for step in told.remedies:
            general.add(_step(step, texts))
        yield general
    if any(step.repair for step in [*told.remedies, *(s for c in told.causes for s in c.remedies)]):
        yield Text(f"{_AUTOMATIC} {texts.word('automatic')}", style="dim")


def _facts(told: Explanation, texts: Texts) -> Table:
    rows = [
        (texts.word("meaning"), Text(told.message)),
        (texts.word("trigger"), Text(told.trigger)),
        (texts.word("retry"), Text(texts.word("retry_yes" if told.retryable else "retry_no"))),
        (texts.word("health"), Text(f"● {texts.health(told.health)}", style=_COLOURS[told.health])),
    ]
    if told.related:
        rows.append((texts.word("related"), Text(", ".join(told.related))))
    if told.aliases:
        rows.append((texts.word("aliases"), Text(", ".join(told.aliases))))
    return facts_of(rows)


def _step(step: Step, texts: Texts) -> Text:
    mark = f" {_AUTOMATIC}" if step.repair else ""
    line = Text.assemble(("→ ", "green"), step.text, (f"  {texts.actor(step.actor)}{mark}", "dim"))
    line.highlight_regex(_COMMAND, style="cyan")
    return line
