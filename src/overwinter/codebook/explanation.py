"""A code explained in one language: what it means, why it happens, what to do and who can do it."""

from dataclasses import dataclass

from overwinter.codebook.book import Actor, Entry, GuestSystem, Health, Remedy
from overwinter.codebook.texts import NO_NAMES, Names, Texts


@dataclass(frozen=True)
class Step:
    """One remedy. ``repair`` is the id of the repair by which a machine may do it; null: a person decides."""

    id: str
    text: str
    actor: Actor
    repair: str | None


@dataclass(frozen=True)
class Reason:
    """One cause, with what mends it."""

    id: str
    text: str
    system: GuestSystem | None
    remedies: tuple[Step, ...]


@dataclass(frozen=True)
class Explanation:
    """A whole entry of the book in words. ``remedies`` help whatever the cause was."""

    code: str
    number: int
    title: str
    message: str
    trigger: str
    retryable: bool
    health: Health
    causes: tuple[Reason, ...]
    remedies: tuple[Step, ...]
    related: tuple[str, ...]
    aliases: tuple[str, ...]


def explain(entry: Entry, texts: Texts) -> Explanation:
    """Explain a code, with the causes in our order."""
    return Explanation(
        code=entry.code,
        number=entry.number,
        title=texts.title(entry),
        message=texts.message(entry),
        trigger=texts.trigger(entry),
        retryable=entry.retryable,
        health=entry.health,
        causes=tuple(
            Reason(cause.id, texts.cause(cause), cause.system, _steps(cause.remedies, texts))
            for cause in entry.causes
        ),
        remedies=_steps(entry.remedies, texts),
        related=entry.related,
        aliases=entry.aliases,
    )


def recommendations(
    entry: Entry, texts: Texts, edition: str | None = None, names: Names = NO_NAMES
) -> tuple[str, ...]:
    """What to do about a code, in sentences, in the order to try."""
    return tuple(texts.remedy(remedy, names) for remedy in entry.remedies_in(edition))


def _steps(remedies: tuple[Remedy, ...], texts: Texts) -> tuple[Step, ...]:
    return tuple(Step(each.id, texts.remedy(each), each.actor, each.repair) for each in remedies)
