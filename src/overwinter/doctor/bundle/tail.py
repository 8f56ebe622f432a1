"""The ends of logs: whole lines, no more than so many bytes, nothing that a terminal obeys."""

import os
from pathlib import Path

from overwinter.doctor.fact import NotKnown

#: Control characters but for tabs and line ends, and those that turn the direction of what is read.
_OBEYED = {
    code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    for code in (*range(9), *range(11, 32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}


def printable(content: bytes) -> str:
    """Bytes of any origin as text; what is no UTF-8 or would be obeyed is written as an escape."""
    text = content.decode(errors="backslashreplace").replace("\r\n", "\n")
    return text.translate(_OBEYED)


def last_lines(content: bytes, most: int) -> bytes:
    """The last lines that together have no more than ``most`` bytes.

    A line is kept whole or not at all: half of a secret could not be recognised.
    """
    if len(content) <= most:
        return content
    return content[-most - 1 :].partition(b"\n")[2]


def tail(file: Path, most: int) -> str:
    """The last lines of a file, as ``last_lines``. Raises NotKnown when it cannot be read."""
    try:
        with file.open("rb") as opened:
            size = opened.seek(0, os.SEEK_END)
            opened.seek(max(0, size - most - 1))
            content = opened.read(most + 1)
    except OSError as error:
        raise NotKnown(f"{file} cannot be read: {error.strerror}.") from error
    return printable(last_lines(content, most))
