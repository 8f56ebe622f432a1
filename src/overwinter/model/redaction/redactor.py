"""Taking secrets out of a text or a document."""

from collections.abc import Iterable, Mapping
from re import Match, Pattern

from overwinter.model.redaction.places import GROUPS, KEY_BEGIN, KEY_BODY, KEY_END, NAME_OF_SECRET, PLACES
from overwinter.model.redaction.writings import writings

#: Stands where a secret stood; nobody's secret has these characters.
MARK = "█████"


class Redactor:
    """Knows some secrets, and the places where others stand."""

    def __init__(self, secrets: Iterable[bytes]) -> None:
        self._writings = frozenset(writing for secret in secrets for writing in writings(secret))

    def text(self, text: str) -> str:
        """The text with ``MARK`` for each secret; unchanged when there is none."""
        text = _without(text, self._known(text))
        text = _without(text, _headless_keys(text))
        for place in PLACES:
            text = _without(text, _found(place, text))
        return text

    def document(self, value: object, name: str = "") -> object:
        """A JSON document likewise: every string and name in it, and what has the name of a secret."""
        match value:
            case Mapping():
                return {self.text(str(key)): self.document(each, str(key)) for key, each in value.items()}
            case list() | tuple():
                return [self.document(each, name) for each in value]
            case None | bool():
                return value
            case str() | int() | float() if value != "" and NAME_OF_SECRET.fullmatch(name):
                return MARK
            case str():
                return self.text(value)
        return value

    def _known(self, text: str) -> list[tuple[int, int]]:
        spans = []
        for writing in self._writings:
            start = text.find(writing)
            while start >= 0:
                spans.append((start, start + len(writing)))
                start = text.find(writing, start + 1)
        return spans


def _found(place: Pattern[str], text: str) -> list[tuple[int, int]]:
    return [_span(match) for match in place.finditer(text)]


def _span(match: Match[str]) -> tuple[int, int]:
    groups = match.re.groupindex.keys()
    return next(match.span(name) for name in GROUPS if name in groups and match[name] is not None)


def _headless_keys(text: str) -> list[tuple[int, int]]:
    """Private keys whose beginning is not there; those that have one are left to the patterns."""
    spans = []
    for end in KEY_END.finditer(text):
        start = len(text[: end.start()].rstrip(KEY_BODY))
        if not KEY_BEGIN.search(text, max(0, start - 80), start):
            spans.append((start, end.start()))
    return spans


def _without(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """The text with one mark for each stretch that spans cover together."""
    parts = []
    at = 0
    for start, end in _joined(spans):
        if text[start:end] != MARK:
            parts += [text[at:start], MARK]
            at = end
    return "".join([*parts, text[at:]])


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
