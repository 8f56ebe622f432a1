"""Small files of the service, written so that a crash leaves the old content or the new, never a part."""

import os
import tempfile
from pathlib import Path

#: Modes: readable by the owner only, or by everyone.
PRIVATE = 0o600
PUBLIC = 0o644


def replace_file(path: Path, content: bytes, mode: int) -> None:
    """Give a file this content and mode, durably."""
    temporary = _write_beside(path, content, mode)
    temporary.replace(path)
    _sync_directory(path.parent)


def create_file(path: Path, content: bytes, mode: int) -> bool:
    """Make a file unless it exists; tells whether it was made. An existing file is never touched."""
    temporary = _write_beside(path, content, mode)
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    _sync_directory(path.parent)
    return True


def _write_beside(path: Path, content: bytes, mode: int) -> Path:
    # mkstemp makes the file with mode 0600: a secret is never readable, not for a moment.
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), mode)
        file.flush()
        os.fsync(file.fileno())
    return Path(name)


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
