"""What programs of Windows print, read by the parts that are the same in every language of Windows.

Python 3.6, standard library only.
"""

import re
from typing import List, NamedTuple

_RUNNING = "4"


class Writer(NamedTuple):
    """A VSS writer; ``state`` is the number between brackets, 1 is stable."""

    name: str
    state: int
    words: str


def service_running(output: str) -> bool:
    """What ``sc query`` says. Raises ValueError.

    The state is the only line whose number is followed by a word in capitals and that is not the type.
    """
    states = re.findall(r"^\s*\S[^:\n]*:\s+(\d+)\s{2}[A-Z_]+\s*$", output, re.MULTILINE)
    if not states:
        raise ValueError("sc.exe says nothing of a state")
    return bool(states[-1] == _RUNNING)


def service_account(output: str) -> str:
    """What ``sc qc`` says of the account, its last line; empty when it says nothing."""
    found = re.findall(r"^\s*SERVICE_START_NAME\s*:\s*(.+?)\s*$", output, re.MULTILINE)
    return str(found[-1]) if found else ""


def vss_writers(output: str) -> List[Writer]:
    """What ``vssadmin list writers`` says: a quoted name, then the state as ``[1] Stable``."""
    blocks = re.split(r"\n\s*\n", output.replace("\r\n", "\n"))
    found = []
    for block in blocks:
        name = re.search(r"^[^\n]*: '([^'\n]+)'", block.strip())
        state = re.search(r"\[(\d+)\]\s*([^\n]*)", block)
        if name and state:
            found.append(Writer(name.group(1), int(state.group(1)), state.group(2).strip()))
    return found


def faulting(output: str, program: str) -> List[str]:
    """Times of the events, in what ``wevtutil qe /f:text`` prints, that name the program."""
    events = re.split(r"^Event\[\d+\]:?\s*$", output.replace("\r\n", "\n"), flags=re.MULTILINE)
    found = []
    for event in events:
        at = re.search(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)", event)
        if at and program.lower() in event.lower():
            found.append(at.group(1))
    return found
