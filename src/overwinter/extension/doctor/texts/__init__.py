"""The doctor's sentences, a JSON file for each language, and the choice among them.

A sentence that a language lacks is said in English. Python 3.6, standard library only.
"""

import json
import pkgutil
import re
from typing import Any, Dict, Mapping

from overwinter.extension.doctor.text import Text

DEFAULT = "en"

#: Variables that name the language of messages; the first that is set counts (POSIX).
_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")

_LANGUAGE = re.compile(r"^[a-z]{2,3}$")


class Texts:
    """All sentences in one language."""

    def __init__(self, language: str) -> None:
        self._english: Dict[str, Dict[str, str]] = _load(DEFAULT)
        self._own: Dict[str, Dict[str, str]] = _load(language)

    def of(self, section: str, key: str) -> str:
        """The sentence of a section. Raises KeyError."""
        own = self._own.get(section, {})
        return own[key] if key in own else self._english[section][key]

    def reason(self, text: Text) -> str:
        """Why a check found what it found. Raises KeyError."""
        return self.of("reasons", text.key).format(**text.values)

    def remedy(self, text: Text) -> str:
        """What to do about it. Raises KeyError."""
        return self.of("remedies", text.key).format(**text.values)

    def word(self, key: str, **values: object) -> str:
        """A word of the report itself. Raises KeyError."""
        return self.of("words", key).format(**values)


def exists(language: str) -> bool:
    """Whether there are sentences in a language."""
    return bool(_LANGUAGE.match(language)) and _data(language) is not None


def choose(wanted: str, environment: Mapping[str, str]) -> str:
    """The language to speak: the wanted one (``nl``, ``sv_SE.UTF-8``), the environment's, or English."""
    named = [wanted] if wanted else [environment[name] for name in _VARIABLES if environment.get(name)]
    language = re.split(r"[-_.@]", named[0].lower())[0] if named else DEFAULT
    return language if exists(language) else DEFAULT


def _data(language: str) -> Any:
    try:
        return pkgutil.get_data(__name__, language + ".json")
    except OSError:
        return None


def _load(language: str) -> Any:
    return json.loads(_data(language).decode("utf-8"))
