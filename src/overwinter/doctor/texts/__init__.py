"""What the doctor says, in each language: titles of checks and sentences for what they find."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from overwinter.codebook.languages import DEFAULT
from overwinter.doctor.check import Step
from overwinter.doctor.report import UNKNOWN, Result


@dataclass(frozen=True)
class Texts:
    """The texts of a language. KeyError for one that is missing, which is a defect and tested for."""

    tables: dict[str, dict[str, str]]

    def title(self, check_id: str) -> str:
        """What a check looks at."""
        return self.tables[check_id]["title"]

    def step(self, step: Step) -> str:
        """Heading of a step."""
        return self.word(f"step_{step.value}")

    def word(self, key: str) -> str:
        """A word around the results."""
        return self.tables["words"][key]

    def diagnosis(self, key: str) -> str:
        """A word or sentence around a diagnosis."""
        return self.tables["diagnosis"][key]

    def sentence(self, result: Result) -> str:
        """What a check found; why it could not be made stands as it was told."""
        return self.found(result.check.id, result.finding.reason, result.finding.values, result.why)

    def found(self, check_id: str, reason: str, values: Mapping[str, object], why: str = "") -> str:
        """What a check or sign found, or the error says."""
        return why or self.tables[check_id][reason].format_map(values)


def can_say(check_id: str, reason: str) -> bool:
    """Whether there is a sentence for that, as there may not be for what another version found."""
    tables = texts_in(DEFAULT).tables
    return check_id in tables and (reason == UNKNOWN or reason in tables[check_id])


@cache
def texts_in(language: str) -> Texts:
    """The texts of a language, or English where the doctor does not speak it."""
    directory = resources.files(__package__)
    file = directory.joinpath(f"{language}.toml")
    if not file.is_file():
        file = directory.joinpath(f"{DEFAULT}.toml")
    return Texts(tomllib.loads(file.read_text(encoding="utf-8")))
