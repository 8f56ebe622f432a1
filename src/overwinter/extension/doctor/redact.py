"""Takes secrets out of what is shown: signatures of shared access, passwords, keys.

Python 3.6, standard library only.
"""

import re

HIDDEN = "***"

_PATTERNS = (
    # What stands before the host in an address.
    (re.compile(r"(?<=://)[^/\s@]+(?=@)"), HIDDEN),
    # A proxy may be written without its scheme.
    (re.compile(r"(?<![\w./-])[^\s/@:=\"']+:[^\s/@\"']+@(?=[\w.-])"), HIDDEN + "@"),
    # The signature of a shared access address, written as it is or in JSON.
    (re.compile(r"(?i)\b(sig=)[^&\s\"'<>]+"), r"\1" + HIDDEN),
    (
        re.compile(
            r"(?i)([\w.-]*(?:password|passwd|pwd|secret|token|accountkey|access_key|apikey|api_key)[\w.-]*"
            r"[\"']?\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|[^\s&;,\"'<>]+)"
        ),
        r"\1" + HIDDEN,
    ),
    (re.compile(r"(?i)\b((?:bearer|basic)\s+)[\w.~+/=-]{8,}"), r"\1" + HIDDEN),
)


def redact(text: str) -> str:
    """The text without secrets."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text
