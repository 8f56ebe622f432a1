"""What the commands ask of the service about whole vaults."""

from collections.abc import Mapping, Sequence

from overwinter.cli.answers import read_view, refuse_slash, started
from overwinter.cli.connection import Arm, Connection
from overwinter.cli.views import AttachedView, JobView, VaultView
from overwinter.cli.views_stats import StatsView
from overwinter.model.names import DEFAULT_RESOURCE_GROUP, LOCATION


class VaultWork:
    """Part of the client of one service."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, name: str, url: str | None, key_reference: str | None) -> VaultView:
        """Make a vault; an existing one stays as it is."""
        extension = {"url": url, "keyReference": key_reference}
        return read_view(VaultView.read, self._put(name, extension))

    def attach(self, name: str, url: str, key_reference: str) -> AttachedView:
        """Take in a vault that exists, with its recovery points."""
        extension = {"url": url, "keyReference": key_reference, "attach": True}
        return read_view(AttachedView.read, self._put(name, extension))

    def _put(self, name: str, extension: Mapping[str, object]) -> Arm:
        refuse_slash("vault", name)
        group = f"{self._connection.subscription}/resourceGroups/{DEFAULT_RESOURCE_GROUP}"
        body = {"location": LOCATION, "properties": {"overwinter": extension}}
        answer = self._connection.put(f"{group}/providers/Microsoft.RecoveryServices/vaults/{name}", body)
        return read_view(lambda: dict(answer.json()))

    def use_key(self, vault: VaultView, key_reference: str) -> VaultView:
        """Let the service open a vault with another secret."""
        answer = self._connection.post(f"{vault.address}/overwinter/useKey", {"keyReference": key_reference})
        return read_view(lambda: VaultView.read(answer.json()))

    def upgrade_stack(self, vault: VaultView) -> VaultView:
        """Bring a vault to stack V2, for good."""
        answer = self._connection.post(f"{vault.address}/overwinter/upgradeStack", {})
        return read_view(lambda: VaultView.read(answer.json()))

    def detach(self, vault: VaultView) -> None:
        """Forget a vault and leave its content."""
        self._connection.post(f"{vault.address}/overwinter/detach", {})

    def delete(self, vault: VaultView) -> None:
        """Remove an empty vault."""
        self._connection.delete(vault.address)

    def verify(self, vault: VaultView, read_percent: float, point: str | None) -> JobView:
        """Start a verification of a vault, or of what one recovery point needs."""
        return self._start(vault, "verify", {"readPercent": read_percent, "point": point})

    def repair(self, vault: VaultView, *, remove_lost: bool) -> JobView:
        """Start a repair."""
        return self._start(vault, "repair", {"removeLost": remove_lost})

    def copy(self, vault: VaultView, target: VaultView, points: Sequence[str] | None) -> JobView:
        """Start a copy of recovery points, all or those named, into another vault."""
        body: Arm = {"target": target.name, "points": None if points is None else list(points)}
        return self._start(vault, "copy", body)

    def clean_up(self, vault: VaultView) -> JobView:
        """Start removing what no recovery point needs."""
        return self._start(vault, "cleanUp", {})

    def stats(self, vault: VaultView) -> StatsView:
        """What a vault holds and costs; large vaults take a while."""
        arm = self._connection.get_slowly(f"{vault.address}/overwinter/stats")
        return read_view(StatsView.read, vault.name, arm)

    def _start(self, vault: VaultView, work: str, body: Arm) -> JobView:
        answer = self._connection.post(f"{vault.address}/overwinter/{work}", body)
        return started(self._connection, vault.address, answer)
