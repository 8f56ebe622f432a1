"""What the administrator of the guest may set, in the file that Azure's own extension reads.

Python 3.6, standard library only.
"""

import os
from typing import List


def mounts_to_skip(path: str) -> List[str]:
    """Mount points that are not to be frozen: ``MountsToSkip`` in section ``SnapshotThread``, by commas.

    A file that cannot be understood skips nothing.
    """
    if not os.path.exists(path):
        return []
    # Loading it takes long on a slow machine, and most guests have no such file.
    import configparser

    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        with open(path, errors="surrogateescape") as file:
            parser.read_file(file)
    except (OSError, configparser.Error):
        return []
    listed = parser.get("SnapshotThread", "MountsToSkip", fallback="")
    names = (name.strip().strip("\"'") for name in listed.split(","))
    return [name.rstrip("/") or "/" for name in names if name]
