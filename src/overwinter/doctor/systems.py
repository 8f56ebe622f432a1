"""Guest systems whose running VMs are known to be backed up well: the oldest version of each.

By the support lists of the reference articles, cut to what the QEMU agent freezes. Windows calls itself by
names of versions, Linux by numbers (os-release).
"""

import re

_OLDEST = {
    "almalinux": "8",
    "amzn": "2",
    "arch": "0",
    "centos": "6.3",
    "debian": "8",
    "fedora": "30",
    "mswindows": "2008",
    "ol": "6.4",
    "opensuse-leap": "15",
    "rhel": "6.7",
    "rocky": "8",
    "sles": "11",
    "ubuntu": "14.04",
}


def oldest_supported(system: str) -> str | None:
    """The oldest version of a system that is supported; None for a system nobody has tried."""
    return _OLDEST.get(system)


def is_older(version: str, oldest: str) -> bool:
    """Whether a version is older; one without a number counts as new, as of systems without versions."""
    numbers = _numbers(version)
    return bool(numbers) and numbers < _numbers(oldest) and not _is_client(numbers, oldest)


def _is_client(numbers: tuple[int, ...], oldest: str) -> bool:
    """Windows for desks counts from 7 to 11 where servers count by years."""
    return len(oldest) == 4 and 7 <= numbers[0] <= 99


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d{1,6}", version)[:3])
