"""The extension as one file: a zip archive that Python runs, and that Azure's agent can unpack as a handler.

The same sources give the same bytes, wherever and whenever they are packed. The version is the project's with
a number from the content behind it, so that any change makes another version.
"""

import hashlib
import io
import json
import zipfile
import zlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.metadata import version as project_version
from importlib.resources.abc import Traversable

HANDLER = "Overwinter.VMSnapshotLinux"

#: Exit status of the package under a Python that is too old, or only a part of one.
TOO_OLD = 126

_MAIN = f"""\
import sys

if sys.version_info < (3, 6):
    sys.stderr.write("Python 3.6 or newer is needed, this is " + sys.version.split()[0] + chr(10))
    sys.exit({TOO_OLD})

try:
    from overwinter.extension.commands import main
except ModuleNotFoundError as error:
    if error.name.startswith("overwinter"):
        raise
    sys.stderr.write("this Python has no module " + error.name + chr(10))
    sys.exit({TOO_OLD})

package = sys.path[0]
manifest = __loader__.get_data(package + "/HandlerManifest.json")
sys.exit(main(sys.argv[1:], package, manifest))
"""

#: Red Hat's own Python has an unusual name.
_SHELL = """\
#!/bin/sh
# What an agent calls: finds a Python and lets it do the rest.
for python in python3 /usr/libexec/platform-python; do
    command -v "$python" >/dev/null 2>&1 && exec "$python" -IS "$(dirname "$0")" "$@"
done
echo "there is no Python 3" >&2
exit 127
"""

_COMMANDS = ("install", "enable", "disable", "update", "uninstall")

#: Zip archives know no earlier time.
_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class ExtensionPackage:
    """The file and its version; ``crc`` is the checksum (CRC-32) by which the guest tells what it has."""

    content: bytes
    version: str
    crc: int


@cache
def extension_package() -> ExtensionPackage:
    """Pack the extension's sources as they are installed here."""
    sources = {f"overwinter/extension/{name}": text for name, text in _files(_room())}
    sources |= {"overwinter/__init__.py": b"", "__main__.py": _MAIN.encode(), "handler.sh": _SHELL.encode()}
    version = f"{project_version('overwinter')}.{_number(sources)}"
    content = _zip({**sources, "HandlerManifest.json": _manifest(version)})
    return ExtensionPackage(content, version, zlib.crc32(content))


def _room() -> Traversable:
    return resources.files("overwinter.extension")


def _files(directory: Traversable) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for entry in directory.iterdir():
        if entry.is_file() and not entry.name.endswith(".pyc"):
            found.append((entry.name, entry.read_bytes()))
        elif entry.is_dir() and entry.name != "__pycache__":
            found += [(f"{entry.name}/{name}", content) for name, content in _files(entry)]
    return found


def _number(sources: dict[str, bytes]) -> int:
    digest = hashlib.sha256()
    for name, content in sorted(sources.items()):
        digest.update(f"{name}\n{len(content)}\n".encode() + content)
    return int.from_bytes(digest.digest()[:4], "big") >> 1


def _manifest(version: str) -> bytes:
    commands = {f"{name}Command": f"sh handler.sh {name}" for name in _COMMANDS}
    handler = {**commands, "rebootAfterInstall": False, "reportHeartbeat": False}
    return json.dumps([{"name": HANDLER, "version": version, "handlerManifest": handler}]).encode()


def _zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.external_attr = (0o755 if name.endswith(".sh") else 0o644) << 16
            entry.create_system = 3
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED, 9)
    return buffer.getvalue()
