"""The code book's texts in one language (``texts/<language>.toml``), with names put in.

Texts may name ``{vm}``, ``{vault}`` and ``{job}``. They stand in commands, where a name that is not known
reads as people know it from manuals: VM, VAULT, JOB.
"""

import shlex
import tomllib
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from typing import Any

from overwinter.codebook.book import Actor, Cause, Entry, Health, Remedy


@dataclass(frozen=True)
class Names:
    """What texts can name."""

    vm: str = "VM"
    vault: str = "VAULT"
    job: str = "JOB"


#: No name is known.
NO_NAMES = Names()


@dataclass(frozen=True)
class Texts:
    """All texts of a language. KeyError for one that is missing, which is a defect and tested for."""

    language: str
    tables: dict[str, Any]

    def title(self, entry: Entry) -> str:
        """A code in a few words."""
        return str(self.tables["codes"][entry.code]["title"])

    def message(self, entry: Entry) -> str:
        """What happened, in general."""
        return str(self.tables["codes"][entry.code]["message"])

    def trigger(self, entry: Entry) -> str:
        """The condition under which the code is raised."""
        return str(self.tables["codes"][entry.code]["trigger"])

    def cause(self, cause: Cause) -> str:
        """What can be behind a code, with the guests that can have it."""
        sentence = str(self.tables["causes"][cause.id])
        return sentence if cause.system is None else f"({cause.system.title()}) {sentence}"

    def remedy(self, remedy: Remedy, names: Names = NO_NAMES) -> str:
        """What to do; names are written so that a shell takes them as they are."""
        safe = {key: shlex.quote(name) for key, name in asdict(names).items()}
        return str(self.tables["remedies"][remedy.id]).format_map(safe)

    def actor(self, actor: Actor) -> str:
        """Who has to act."""
        return str(self.tables["who"][actor])

    def health(self, health: Health) -> str:
        """How much it matters."""
        return str(self.tables["health"][health])

    def word(self, key: str) -> str:
        """A heading around the texts."""
        return str(self.tables["words"][key])


@cache
def texts_in(language: str) -> Texts:
    """The texts of one of ``languages.available()``."""
    file = resources.files(__package__).joinpath("texts", f"{language}.toml")
    return Texts(language, tomllib.loads(file.read_text(encoding="utf-8")))
