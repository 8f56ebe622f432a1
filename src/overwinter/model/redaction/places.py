"""Where secrets stand in logs, settings and URLs: each pattern has the group ``secret``.

Some of the text comes from guests, so that no pattern may take long for any text: what can fail after many
characters is bounded, or begins at few places.
"""

import re

#: Names whose value is a secret, or the ends of such names (``db_password``, ``X-Amz-Signature``).
_WORDS = (
    r"passw(?:or)?d|passphrase|passcode|pwd|secret|token|credential|signature"
    r"|(?<![a-z])(?:sig|sas|pin)|access[_-]?key(?:[_-]?id)?|api[_-]?key"
    r"|(?:account|shared|private|secret|encryption|subscription|master|storage|auth)[_-]?key"
)
#: Before a colon the shortest of them is a result more often than a name.
_NAME = rf"(?:{_WORDS}|pass(?=[ \t]*=))"

#: Between a name and its value, the name's closing quote included.
_IS = r"\\{0,3}[\"']?[ \t]{0,8}(?:=>|:=|[:=]|%3D)[ \t]{0,8}"

#: A value: in quotes, in quotes that are themselves escaped, or up to a sign that ends it. What begins like a
#: JSON value other than a string is none.
_QUOTED = (
    r"\"(?P<double>(?:[^\"\\\n]|\\.)*+)\"|'(?P<single>(?:[^'\\\n]|\\.)*+)'"
    r"|(?P<escape>\\{1,3})(?P<quote>[\"'])(?P<escaped>[^\n]*?)(?<!\\)(?P=escape)(?P=quote)"
    r"|\\{0,3}[\"'](?P<open>[^\n]+)"
)
_BARE = r"(?![{\[]|(?:null|true|false|none)\b)(?P<bare>[^\s&\"'<>]+)"
_REST = r"(?P<bare>[^\r\n]+)"

_MANY = re.IGNORECASE | re.MULTILINE

_PATTERNS = (
    # A private key up to its end, or to the end of a text that was cut.
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----"
    r"(?P<secret>[\s\S]*?)(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|\Z)",
    # Headers that prove who asks.
    rf"\b(?:authorization|cookie){_IS}(?:{_QUOTED}|{_REST})",
    r"\b(?:bearer|basic|digest|negotiate|sharedkey(?:lite)?)[ \t]{1,8}"
    r"(?=[\w+/=.~-]{0,64}?(?:(?-i:[a-z][A-Z])|[0-9=]))(?P<secret>[\w.~+/=:-]{8,})",
    # User and password of an address; one that is not quoted well may hold a slash, but a port is none.
    r"://(?P<secret>[^\s/?#\"'<>]{1,512})@",
    r"://(?P<secret>[^\s/:@\"']{0,128}:(?!\d{1,5}[/?#])[^\s\"'<>]{1,512})@",
    r"(?<![\w./:-])[\w.%+-]{1,64}:(?P<secret>[^\s/@:\"'<>]{1,256})@(?=[\w\[])",
    # A line of a settings file is its value to the end: it may hold blanks.
    rf"^[ \t]{{0,40}}(?:export[ \t]{{1,8}})?[\w.-]{{0,80}}?{_NAME}[ \t]{{0,8}}[:=][ \t]{{0,8}}(?![\"'{{\[])"
    rf"(?!(?:null|true|false|none)\b){_REST}",
    rf"{_NAME}(?:{_IS}(?:{_QUOTED}|{_BARE})|>(?P<secret>[^<\n]+))",
    rf"(?<![\w-])--?[\w-]{{0,40}}?{_NAME}[ \t]{{1,8}}(?:{_QUOTED}|(?!-){_BARE})",
    rf"\b(?:password|identified[ \t]+by(?:[ \t]+password)?)[ \t]{{1,8}}(?:{_QUOTED})",
    # QEMU's secret objects, as options and as JSON.
    r"\bsecret,\S{0,400}?\bdata=(?P<secret>[^\s,]+)",
    r"qom-type[^{}\n]{1,8}secret[^{}\n]{0,400}?data[\\\"':]{1,12}(?P<secret>[^\"'\\\n]+)",
    # What cannot be mistaken: keys of AWS, JSON web tokens, keys of Azure's storage accounts.
    r"(?-i:\b(?P<secret>(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16})\b)",
    r"(?-i:(?<![\w-])(?P<secret>eyJ[\w-]{10,4096}\.[\w-]{10,8192}\.[\w-]{0,8192}))",
    r"(?<![A-Za-z0-9+/])(?P<secret>[A-Za-z0-9+/]{86}==)",
)

PLACES = tuple(re.compile(pattern, _MANY) for pattern in _PATTERNS)

#: A name as in ``PLACES`` that stands alone, as the keys of documents do.
NAME_OF_SECRET = re.compile(rf".*(?:{_WORDS}|pass)", re.IGNORECASE | re.DOTALL)

#: The groups that may hold the secret of a match.
GROUPS = ("secret", "double", "single", "escaped", "open", "bare")

#: Begin and end of a private key, of which the beginning may have been cut away; what may stand between.
KEY_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----\Z")
KEY_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----")
KEY_BODY = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\\ \t\r\n"
