"""How a value can be written: as it is, quoted for JSON, XML, URLs or SQL, in base64, in hexadecimal."""

import base64
import json
from collections.abc import Iterator
from itertools import product
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

#: Values with fewer bytes than this are not looked for: they are in every text by chance.
SHORTEST = 4

#: What programs leave unquoted in URLs: nothing, paths, and the two rules of JavaScript (ECMA-262, 19.2.6).
_SAFE = ("", "/", "/:@", "!'()*~", ";/?:@&=+$,#!'()*~")

_ALTERNATIVE_BASE64 = str.maketrans("+/", "-_")


def writings(value: bytes) -> frozenset[str]:
    """Every form of a value to look for in text; none of a value that is too short."""
    if len(value) < SHORTEST:
        return frozenset()
    found = {value.hex(), value.hex().upper(), *_base64(value), *_texts(value)}
    return frozenset(found)


def _base64(value: bytes) -> Iterator[str]:
    """The characters that a value gives alone, wherever it begins in what is encoded (RFC 4648 section 4).

    Every three bytes make four characters; those that share bits with a neighbour are not the value's own.
    """
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + value).decode()
        first = (0, 2, 3)[before]
        last = (before + len(value)) * 8 // 6
        own = encoded[first:last]
        yield own
        yield own.translate(_ALTERNATIVE_BASE64)


def _texts(value: bytes) -> Iterator[str]:
    text = value.decode(errors="backslashreplace")
    yield from (text, repr(text)[1:-1], text.replace("'", "''"))
    for plain in (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]):
        yield from (plain, plain.replace("/", "\\/"))
        yield json.dumps(plain, ensure_ascii=False)[1:-1]
    for double, single in product(('"', "&quot;", "&#34;"), ("'", "&apos;", "&#39;", "&#x27;")):
        yield escape(text, {'"': double, "'": single})
    for quoted in (*(quote(text, safe=safe) for safe in _SAFE), quote_plus(text)):
        yield from (quoted, _lower_escapes(quoted))


def _lower_escapes(quoted: str) -> str:
    """A quoted text with its escapes in small letters (``%2f``)."""
    first, *rest = quoted.split("%")
    return "%".join([first, *(part[:2].lower() + part[2:] for part in rest)])
