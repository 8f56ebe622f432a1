"""Versions: comparing them, and those of Debian's packages.

Python 3.6, standard library only.
"""

import re
from typing import Optional, Tuple

from overwinter.extension.doctor.machine import Machine

_STATUS_FILE = "/var/lib/dpkg/status"

_MOST_BYTES = 64 * 1024 * 1024


def numbers(version: str) -> Tuple[int, ...]:
    """The leading numbers of a version: ``1:7.2+dfsg-7`` gives 7, 2. Nothing when there are none."""
    found = re.match(r"(?:\d+:)?v?(\d+(?:\.\d+)*)", version.strip())
    return tuple(int(part) for part in found.group(1).split(".")) if found else ()


def in_debian(machine: Machine, package: str) -> Optional[str]:
    """The version of a Debian package, without epoch and packaging; null when it is not installed."""
    content = machine.read_text(_STATUS_FILE, _MOST_BYTES)
    if content is None:
        return None
    found = re.search(r"^Package: {}\n(?:.+\n)*".format(re.escape(package)), content, re.MULTILINE)
    if found is None or "\nStatus: install ok installed\n" not in found.group(0):
        return None
    version = re.search(r"^Version: (?:\d+:)?([^-+~\s]+)", found.group(0), re.MULTILINE)
    return version.group(1) if version else None
