"""The extension in one guest: installed by the first backup, looked at by each, renewed when it is not ours.

It goes the way of the guest agent alone: files are written, programs are run. The host does in the guest what
Azure's agent would do: one folder, ``HandlerEnvironment.json``, a settings file, the handler's commands in
their order. Everything is bounded in time; the package is some tens of KiB.
"""

import json

from overwinter.guest.agent import Completed, GuestAgent
from overwinter.guest.extension_package import (
    HANDLER,
    TOO_OLD,
    ExtensionPackage,
    extension_package,
)
from overwinter.guest.extension_status import read_status
from overwinter.model.agent import DELIVERY_COMMANDS
from overwinter.model.errors import ExtensionFailed, ExtensionUnavailable, GuestCommandFailed
from overwinter.model.guest_extension import ExtensionStatus, ProvisioningState

FOLDER = "/var/lib/overwinter-extension"
PACKAGE = f"{FOLDER}/extension.pyz"

#: Starting Python and loading the package takes seconds on a slow machine.
RUN_LIMIT_S = 60.0

#: Where systems keep their Python; the second is Red Hat's own, the last one somebody built.
_PYTHONS = ("/usr/bin/python3", "/usr/libexec/platform-python", "/usr/local/bin/python3")

_STATUS = f"{FOLDER}/status/0.status"
_MOST_STATUS_BYTES = 128 * 1024

_MAKE = f"mkdir -p {FOLDER}/config {FOLDER}/status && chmod 700 {FOLDER}"
_REPLACE = f"""\
cd {FOLDER} || exit 1
first=install
[ -f extension.pyz ] && first=update
mv -f extension.pyz.new extension.pyz || exit 1
"$0" -IS extension.pyz "$first" && "$0" -IS extension.pyz enable
"""
_REMOVE = f"""\
cd {FOLDER} || exit 0
"$0" -IS extension.pyz disable && "$0" -IS extension.pyz uninstall
rm -rf {FOLDER}
"""

_ENVIRONMENT = [
    {
        "name": HANDLER,
        "version": 1.0,
        "handlerEnvironment": {
            "logFolder": f"/var/log/azure/{HANDLER}",
            "configFolder": f"{FOLDER}/config",
            "statusFolder": f"{FOLDER}/status",
            "heartbeatFile": f"{FOLDER}/heartbeat.log",
        },
    }
]
_SETTINGS: dict[str, object] = {"runtimeSettings": [{"handlerSettings": {"publicSettings": {}}}]}


class GuestExtension:
    """The extension behind one guest agent; every call may raise what the agent's calls raise."""

    def __init__(self, agent: GuestAgent) -> None:
        self._agent = agent
        self._found: str | None = None

    @property
    def is_there(self) -> bool:
        """Whether the package is in the guest, whatever is in it."""
        return self._exists(PACKAGE)

    def python(self) -> str:
        """The guest's Python. Raises ExtensionUnavailable when this guest or its agent rules us out."""
        if self._found is None:
            missing = DELIVERY_COMMANDS - self._agent.info().enabled
            if missing:
                raise ExtensionUnavailable(f"The guest agent does not allow {', '.join(sorted(missing))}.")
            self._found = next((path for path in _PYTHONS if self._exists(path)), None)
        if self._found is None:
            raise ExtensionUnavailable("The guest has no Python 3.", cause="C-EXT-LOAD")
        return self._found

    def run(self, *arguments: str) -> Completed:
        """Run the installed package. Raises ExtensionUnavailable."""
        return self._checked(self._agent.run([self.python(), "-IS", PACKAGE, *arguments], RUN_LIMIT_S))

    def install(self) -> None:
        """Install, renew or repair it. Raises ExtensionUnavailable, ExtensionFailed."""
        package = extension_package()
        self._must(self._script(_MAKE), "its folder was not made")
        self._write(package)
        self._must(self._script(_REPLACE), "it was not installed")

    def remove(self) -> None:
        """Take it away; the next backup brings it back. Raises ExtensionFailed."""
        self._must(self._script(_REMOVE), "it was not removed")

    def status(self) -> ExtensionStatus:
        """What the guest tells about it, asked now."""
        if not self.is_there:
            return ExtensionStatus(ProvisioningState.NOT_INSTALLED)
        try:
            return read_status(self._agent.read_file(_STATUS, _MOST_STATUS_BYTES))
        except GuestCommandFailed as error:
            return ExtensionStatus(ProvisioningState.FAILED, message=error.message)

    def fault(self) -> str | None:
        """What is wrong with the package in the guest, in a sentence; null when it is this host's and works.

        Raises ExtensionUnavailable when this guest cannot have it.
        """
        self.python()
        if not self.is_there:
            return "The extension in the guest is gone."
        status, package = self.status(), extension_package()
        if status.version and status.version != package.version:
            return f"The guest's extension has version {status.version}, this host's is {package.version}."
        try:
            content = self._agent.read_file(PACKAGE, len(package.content))
        except GuestCommandFailed:
            content = b""
        if content != package.content:
            return "The extension in the guest is damaged."
        if status.state is ProvisioningState.FAILED:
            return f"The extension in the guest failed: {status.message}"
        return None

    def _write(self, package: ExtensionPackage) -> None:
        for name, content in (
            ("HandlerEnvironment.json", json.dumps(_ENVIRONMENT).encode()),
            ("config/0.settings", json.dumps(_SETTINGS).encode()),
            ("extension.pyz.new", package.content),
        ):
            try:
                self._agent.write_file(f"{FOLDER}/{name}", content)
            except GuestCommandFailed as error:
                message = f"The extension cannot be written: {error.message}"
                raise ExtensionFailed(message, cause="C-EXT-LOAD") from error

    def _exists(self, path: str) -> bool:
        try:
            self._agent.close_file(self._agent.open_file(path, "r"))
        except GuestCommandFailed:
            return False
        return True

    def _script(self, script: str) -> Completed:
        return self._checked(self._agent.run(["/bin/sh", "-c", script, self.python()], RUN_LIMIT_S))

    def _checked(self, done: Completed) -> Completed:
        if done.exit_code == TOO_OLD:
            raise ExtensionUnavailable(f"In the guest: {complaint(done)}.")
        return done

    def _must(self, done: Completed, otherwise: str) -> None:
        if done.exit_code != 0:
            message = f"The extension does not work in the guest, {otherwise}: {complaint(done)}"
            raise ExtensionFailed(message, cause="C-EXT-LOAD")


def complaint(done: Completed) -> str:
    """The end of what a program said on its way out, as one printable line."""
    words = done.errors[-2000:].decode(errors="replace").strip().splitlines()
    last = words[-1] if words else f"exit status {done.exit_code}"
    return "".join(c for c in last[:300] if c.isprintable())
