"""Which language to speak: those there are, and the choice among them by a client or an environment.

A language exists when its file of texts does (``texts/<language>.toml``). Tags are those of BCP 47; only
their first part counts, so that ``nl-BE`` gets ``nl``.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources

#: Spoken when nothing that was asked for exists; errors of single instances are always in it.
DEFAULT = "en"

#: Variables that name the language of messages; the first that is set counts (POSIX).
_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")

_CHOICE = re.compile(r"\s*([A-Za-z0-9*-]+)\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*)?")


@cache
def available() -> tuple[str, ...]:
    """All languages, sorted."""
    files = resources.files(__package__).joinpath("texts").iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def match(tag: str) -> str | None:
    """The language for a tag or locale (``sv``, ``sv-FI``, ``sv_SE.UTF-8``), or null."""
    first = re.split(r"[-_.@]", tag.strip().casefold(), maxsplit=1)[0]
    return first if first in available() else None


def preferences(accept_language: str) -> list[str]:
    """The tags of an Accept-Language header (RFC 9110), best first; what cannot be read is passed over."""
    choices = [
        (float(found[2] or 1), found[1])
        for part in accept_language.split(",")
        if (found := _CHOICE.fullmatch(part))
    ]
    wanted = [choice for choice in choices if choice[0] > 0]
    return [tag for _, tag in sorted(wanted, key=lambda choice: -choice[0])]


def of_header(accept_language: str) -> str:
    """The best language for an Accept-Language header."""
    return _first(DEFAULT if tag == "*" else tag for tag in preferences(accept_language))


def of_environment(environment: Mapping[str, str]) -> str:
    """The language of a process with these environment variables."""
    locale = next((environment[name] for name in _VARIABLES if environment.get(name)), "")
    return _first([locale])


def _first(tags: Iterable[str]) -> str:
    return next((language for tag in tags if (language := match(tag))), DEFAULT)
