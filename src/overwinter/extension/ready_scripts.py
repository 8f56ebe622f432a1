"""The ready-made scripts on their way out of the package: to where a configuration can name them.

Python 3.6, standard library only.
"""

import os
import pkgutil
from pathlib import Path

NAMES = ("mariadb", "postgresql")


def unpack(directory: Path) -> None:
    """Put the scripts into a directory, which is made; each is replaced whole. Raises OSError."""
    directory.mkdir(mode=0o700, exist_ok=True)
    for name in NAMES:
        content = pkgutil.get_data(__package__ or "", "ready/" + name)
        if content is None:
            raise FileNotFoundError("the package has no script " + name)
        new = directory / (name + ".new")
        with new.open("wb") as file:
            os.fchmod(file.fileno(), 0o700)
            file.write(content)
        new.replace(directory / name)
