"""What the commands ask of the service about repairs."""

from overwinter.cli.answers import read_view, started, vault_address
from overwinter.cli.connection import Connection
from overwinter.cli.views import ItemView, JobView
from overwinter.cli.views_repairs import RepairView


class RepairWork:
    """Part of the client of one service."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def plan(self, item: ItemView) -> tuple[RepairView, ...]:
        """What could be mended of a VM; takes up to some minutes, where a vault must be looked through."""
        found = self._connection.post_slowly(f"{item.address}/overwinter/planRepairs", {})
        return read_view(lambda: tuple(RepairView.read(arm) for arm in found["repairs"]))

    def start(self, item: ItemView) -> JobView:
        """Start mending it."""
        answer = self._connection.post(f"{item.address}/overwinter/repair", {})
        return started(self._connection, vault_address(item.address), answer)
