"""The options of the guest agent that forbid commands, in the files it or its service reads them from.

QEMU's agent takes a list of commands it must not carry out (``block-rpcs``, once ``blacklist``) or of the
only ones it may (``allow-rpcs``). They stand in its own configuration, or in a file with which a
distribution's service puts its command line together. Options that stand anywhere else are not found.
"""

import re

from overwinter.guest.agent import GuestAgent
from overwinter.model.errors import GuestCommandFailed

#: The agent's own (everywhere), Red Hat's, and Debian's without systemd.
FILES = ("/etc/qemu/qemu-ga.conf", "/etc/sysconfig/qemu-ga", "/etc/default/qemu-guest-agent")

#: Added to the name of a file that was changed: what it was before.
BEFORE = ".before-overwinter"

_MOST_BYTES = 64 * 1024

_COMMANDS = r"[a-z0-9-]+(?:\s*,\s*[a-z0-9-]+)*"
_FORBIDDEN = re.compile(rf"(?i:(?:block-rpcs|blacklist|blacklist_rpc)\s*=\s*[\"']?)(?P<list>{_COMMANDS})")
_ALLOWED = re.compile(rf"(?i:allow-rpcs\s*=\s*[\"']?)(?P<list>{_COMMANDS})")

_REPLACE_S = 10.0

#: Copies keep owner and mode; the new file takes the old one's place in one step.
_COPY = f'cp -p "$0" "$0{BEFORE}" && cp -p "$0" "$0.overwinter-new"'
_REPLACE = 'sync; mv -f "$0.overwinter-new" "$0"'


def allowing(text: str, commands: frozenset[str]) -> str:
    """A configuration under which ``commands`` are not forbidden any more; all else stays as it is."""
    return "\n".join(_line(line, commands) for line in text.split("\n"))


def _line(line: str, commands: frozenset[str]) -> str:
    if line.lstrip().startswith(("#", ";")):
        return line

    def without(found: re.Match[str]) -> str:
        return _with_list(found, [name for name in _names(found) if name not in commands])

    def with_them(found: re.Match[str]) -> str:
        names = _names(found)
        return _with_list(found, [*names, *sorted(commands - set(names))])

    return _ALLOWED.sub(with_them, _FORBIDDEN.sub(without, line))


def _names(found: re.Match[str]) -> list[str]:
    return [name.strip() for name in found["list"].split(",")]


def _with_list(found: re.Match[str], names: list[str]) -> str:
    if names == _names(found):
        return found[0]
    return found[0].removesuffix(found["list"]) + ",".join(names)


class AgentOptions:
    """The option files in one guest; every call may raise what the agent's calls raise."""

    def __init__(self, agent: GuestAgent) -> None:
        self._agent = agent

    def to_change(self, commands: frozenset[str]) -> dict[str, str]:
        """The files that forbid some of the commands, by path, with the text that does not."""
        found = {}
        for path in FILES:
            text = self._read(path)
            if text is not None and (changed := allowing(text, commands)) != text:
                found[path] = changed
        return found

    def write(self, path: str, text: str) -> None:
        """Replace a file, and keep the old one beside it. Raises GuestCommandFailed."""
        self._shell(_COPY, path)
        self._agent.write_file(f"{path}.overwinter-new", text.encode("latin-1"))
        self._shell(_REPLACE, path)

    def _read(self, path: str) -> str | None:
        try:
            # Whatever its encoding is: it is given back byte by byte.
            return self._agent.read_file(path, _MOST_BYTES).decode("latin-1")
        except GuestCommandFailed:
            return None  # not there, or not to be read: then the agent does not read it either

    def _shell(self, script: str, path: str) -> None:
        done = self._agent.run(["/bin/sh", "-c", script, path], _REPLACE_S)
        if done.exit_code != 0:
            said = "".join(c for c in done.errors.decode(errors="replace")[-200:] if c.isprintable())
            raise GuestCommandFailed(f"{path} in the guest cannot be replaced: {said}")
