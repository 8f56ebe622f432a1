"""``/etc/waagent.conf``: the options of Azure's Linux agent.

Python 3.6, standard library only.
"""

from typing import Dict, NamedTuple, Optional

from overwinter.extension.doctor.machine import Machine

PATH = "/etc/waagent.conf"

_PROVISIONED = "/var/lib/waagent/provisioned"


class Options(NamedTuple):
    """``values`` by option, in lower case; null when there is no file.

    ``provisioned``: that step is behind it.
    """

    values: Optional[Dict[str, str]]
    provisioned: bool

    def get(self, *names: str) -> Optional[str]:
        """The value of the first of these options that is set; to the agent, ``None`` is no value."""
        for name in names:
            value = (self.values or {}).get(name.lower())
            if value and value != "None":
                return value
        return None


def read(machine: Machine) -> Options:
    """Raises OSError."""
    text = machine.read_text(PATH)
    return Options(None if text is None else parse(text), machine.exists(_PROVISIONED))


def parse(text: str) -> Dict[str, str]:
    """Options of the file, as the agent reads them: ``Name=value``, a comment begins with ``#``."""
    values = {}
    for line in text.splitlines():
        name, equals, value = line.split("#")[0].partition("=")
        if equals:
            values[name.strip().lower()] = value.strip().strip("\"'")
    return values
