"""What the commands ask of the service about restore points on the host, locks, and its support profile."""

from urllib.parse import unquote, urlsplit

from overwinter.cli.answers import read_view, refuse_slash, started, vault_address
from overwinter.cli.connection import Connection
from overwinter.cli.views import ItemView, JobView
from overwinter.cli.views_points import CollectionView, LockView
from overwinter.model.errors import LockNotFound, NotFound, RequestError

_COLLECTIONS = "/providers/Microsoft.Compute/restorePointCollections"
_LOCKS = "/providers/Microsoft.Authorization/locks"


class PointWork:
    """Part of the client of one service."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # --- collections

    def collections(self) -> list[CollectionView]:
        """All collections, without their points."""
        rows = self._connection.rows(f"{self._connection.subscription}{_COLLECTIONS}")
        return [read_view(CollectionView.read, row) for row in rows]

    def collection(self, name: str, group: str | None) -> CollectionView:
        """One collection with its points, by its name, or by the name of a VM that has just one; NotFound.

        Raises RequestError when several fit.
        """
        wanted = name.casefold()
        found = [
            each
            for each in self.collections()
            if wanted in (each.name.casefold(), each.vm.casefold())
            and (group is None or each.resource_group.casefold() == group.casefold())
        ]
        if not found:
            raise NotFound(f"There is no restore point collection {name!r}.")
        if len(found) > 1:
            names = ", ".join(f"{each.name} in {each.resource_group}" for each in found)
            raise RequestError(f"Several collections fit {name!r}: {names}. Name one, with --group.")
        arm = self._connection.get(found[0].address, **{"$expand": "restorePoints"})
        return read_view(CollectionView.read, arm)

    def delete_collection(self, collection: CollectionView, point: str | None) -> JobView | None:
        """Start deleting a collection, or one point of it; None when it is gone already."""
        address = collection.address
        if point is not None:
            refuse_slash("restore point", point)
            address = f"{address}/restorePoints/{point}"
        answer = self._connection.delete(address)
        if answer.status_code == 204:
            return None
        operation = unquote(urlsplit(answer.headers.get("Azure-AsyncOperation", "")).path)
        return started(self._connection, vault_address(operation), answer)

    def clean_up(self, item: ItemView) -> JobView:
        """Start removing the expired restore points of a VM."""
        answer = self._connection.post(f"{item.address}/overwinter/cleanUp", {})
        return started(self._connection, vault_address(item.address), answer)

    # --- locks

    def locks(self) -> list[LockView]:
        """All locks."""
        rows = self._connection.rows(f"{self._connection.subscription}{_LOCKS}")
        return [read_view(LockView.read, row) for row in rows]

    def lock(self, name: str, scope: str | None) -> LockView:
        """The lock of that name, on that scope or, without one, the only one anywhere.

        Raises LockNotFound, RequestError when several have the name.
        """
        found = [
            lock
            for lock in self.locks()
            if lock.name.casefold() == name.casefold()
            and (scope is None or lock.address.casefold().startswith(f"{scope}{_LOCKS}/".casefold()))
        ]
        if not found:
            raise LockNotFound(f"There is no lock {name!r}.")
        if len(found) > 1:
            scopes = ", ".join(lock.scope for lock in found)
            raise RequestError(f"Several locks are named {name!r}: on {scopes}. Say --group or --collection.")
        return found[0]

    def group_scope(self, group: str) -> str:
        """Address of a resource group."""
        refuse_slash("resource group", group)
        return f"{self._connection.subscription}/resourceGroups/{group}"

    def create_lock(self, name: str, scope: str, level: str, notes: str | None) -> LockView:
        """Set a lock on the resource of that address, or change the one of that name."""
        refuse_slash("lock", name)
        body = {"properties": {"level": level, "notes": notes}}
        answer = self._connection.put(f"{scope}{_LOCKS}/{name}", body)
        return read_view(lambda: LockView.read(answer.json()))

    def delete_lock(self, lock: LockView) -> None:
        """Remove a lock."""
        self._connection.delete(lock.address)

    # --- the support profile

    def profile(self) -> dict[str, object]:
        """The support profile of the service."""
        arm = self._connection.get(self._connection.subscription)
        return read_view(lambda: dict(arm["overwinter"]["supportProfile"]))
