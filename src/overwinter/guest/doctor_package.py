"""The doctor for inside any guest as one file: a zip that Python 3.6 or newer runs, without anything else.

It is the package ``overwinter.extension.doctor`` with the modules of its room that it shares with the
extension, under their own names. The bytes depend on these files alone: no times, no order of a directory.
"""

import io
import zipfile
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable

#: What the file is called where people keep it.
FILE_NAME = "overwinter-guest-doctor"

_SHARED = ("__init__.py", "mounts.py", "script_config.py", "settings.py", "trusted_file.py")

_START = b"#!/usr/bin/env python3\n"

_MAIN = b"""\
import sys

if sys.version_info < (3, 6):
    sys.stderr.write("Python 3.6 or newer is needed, this is " + sys.version.split()[0] + chr(10))
    sys.exit(64)

from overwinter.extension.doctor.main import main

sys.exit(main())
"""

#: The earliest that a zip can tell.
_NO_TIME = (1980, 1, 1, 0, 0, 0)

_UNIX, _PLAIN_FILE = 3, 0o100644


def doctor_package() -> bytes:
    """The bytes of the program."""
    room = resources.files("overwinter.extension")
    contents = {
        "__main__.py": _MAIN,
        "overwinter/__init__.py": resources.files("overwinter").joinpath("__init__.py").read_bytes(),
    }
    for name in _SHARED:
        contents[f"overwinter/extension/{name}"] = room.joinpath(name).read_bytes()
    for path, file in _files(room.joinpath("doctor"), "overwinter/extension/doctor"):
        contents[path] = file.read_bytes()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as package:
        for path, content in sorted(contents.items()):
            entry = zipfile.ZipInfo(path, _NO_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = _UNIX
            entry.external_attr = _PLAIN_FILE << 16
            package.writestr(entry, content)
    return _START + packed.getvalue()


def _files(directory: Traversable, path: str) -> Iterator[tuple[str, Traversable]]:
    """Modules and texts below a directory."""
    for entry in directory.iterdir():
        inside = f"{path}/{entry.name}"
        if entry.is_dir():
            yield from _files(entry, inside)
        elif entry.name.endswith((".py", ".json")):
            yield inside, entry
