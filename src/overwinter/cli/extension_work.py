"""What the commands ask of the service about the extension in a VM."""

from overwinter.cli.answers import read_view
from overwinter.cli.connection import Connection
from overwinter.cli.views_extension import ExtensionView

_EXTENSION = "/extensions/VMSnapshotLinux"


class ExtensionWork:
    """Part of the client of one service; each call names a VM by its address."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, machine: str) -> ExtensionView:
        """How it is now; NotFound."""
        return read_view(ExtensionView.read, self._connection.get(machine + _EXTENSION))

    def install(self, machine: str) -> ExtensionView:
        """Install it, or repair it."""
        answer = self._connection.put(machine + _EXTENSION, {"properties": {}})
        return read_view(lambda: ExtensionView.read(answer.json()))

    def remove(self, machine: str) -> bool:
        """Take it away; false when there was none."""
        return self._connection.delete(machine + _EXTENSION).status_code != 204
