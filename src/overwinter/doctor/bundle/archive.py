"""The zip of a support bundle: every file goes through the redactor, and ``README.txt`` tells of each.

Names in the zip are fixed, and it has no comments: nothing gets in but the files' content.
"""

import json
import time
from dataclasses import dataclass
from datetime import datetime
from typing import IO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from overwinter.model.redaction import MARK, Redactor

_PRIVATE = 0o100600 << 16

_HEAD = """\
Support bundle of Overwinter for the virtual machine {vm}
Made {when} (UTC)

What it is for: whoever helps with this VM's backups sees here what the service, the host and the guest know.
It holds no content of disks. Names of machines, files, users and addresses are in it: look through it before
you give it away.

Secrets were taken out, and {mark} stands in their place: first every secret that this service knows
(its token, keys, passphrases, credentials, passwords of databases and displays, values of libvirt's secrets),
however written, then whatever stands where secrets stand (passwords, tokens and keys in settings, headers and
addresses, private keys). A secret of fewer than four characters, or one that neither the service knows nor
its place tells, cannot be recognised.
Of logs only the newest whole lines are here. Characters that a terminal would obey are written as escapes.
"""


@dataclass(frozen=True)
class Json:
    """A document: mappings, lists, strings, numbers, booleans and nulls."""

    value: object


class Archive:
    """A bundle that is being written to a file; ``close`` completes it."""

    def __init__(self, file: IO[bytes], redactor: Redactor, vm: str, now: datetime) -> None:
        self._zip = ZipFile(file, "w", ZIP_DEFLATED)
        self._redactor = redactor
        self._vm = vm
        self._now = now
        self._there: list[str] = []
        self._missing: list[str] = []

    def add(self, name: str, what: str, content: str | Json) -> None:
        """Put a file in, without secrets. ``what`` is for the README."""
        if isinstance(content, Json):
            document = self._redactor.document(content.value)
            content = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
        text = self._redactor.text(content)
        size = self._write(name, text)
        taken = text.count(MARK)
        self._there.append(
            f"{name}\n    {what}\n    {size} bytes; "
            + (f"secrets taken out: {taken}" if taken else "nothing was taken out")
        )

    def miss(self, name: str, what: str, reason: str) -> None:
        """Tell why a file is not there."""
        self._missing.append(f"{name}\n    {what}\n    {reason}")

    def close(self, gaps: tuple[str, ...]) -> None:
        """Write the README and end the zip. ``gaps``: what could not be done about secrets."""
        parts = [_HEAD.format(vm=self._vm, when=f"{self._now:%Y-%m-%d %H:%M:%S}", mark=MARK)]
        if gaps:
            parts.append("Secrets that could not be read, so that their values were not looked for\n")
            parts += [f"{gap}\n" for gap in gaps]
        parts += ["Files\n", *(f"{each}\n" for each in self._there)]
        if self._missing:
            parts += ["Not there\n", *(f"{each}\n" for each in self._missing)]
        self._write("README.txt", self._redactor.text("\n".join(parts)))
        self._zip.close()

    def _write(self, name: str, text: str) -> int:
        content = text.encode(errors="backslashreplace")
        info = ZipInfo(name, time.gmtime(self._now.timestamp())[:6])
        info.compress_type = ZIP_DEFLATED
        info.external_attr = _PRIVATE
        self._zip.writestr(info, content)
        return len(content)
