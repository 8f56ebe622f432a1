"""Locks and collections in the catalog, and the migration that gave collections names of their own."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from overwinter import catalog as room
from overwinter.catalog import collections, locks
from overwinter.catalog.database import Catalog
from overwinter.catalog.tables import restore_point_collections
from overwinter.model.errors import LockNotFound, NotFound
from overwinter.model.lock import Lock, LockLevel, LockScope
from overwinter.model.point import RestorePointCollection

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Catalog]:
    sqlite = request.param == "sqlite"
    opened = Catalog(f"sqlite:///{tmp_path}/c.db" if sqlite else request.getfixturevalue("postgres_url"))
    yield opened
    opened.close()


def a_lock(scope: LockScope, name: str = "lk") -> Lock:
    return Lock(uuid4(), name, LockLevel.CAN_NOT_DELETE, "why", NOW, scope)


def test_locks_are_known_by_scope_and_name(catalog: Catalog) -> None:
    catalog.migrate()
    group, inside = LockScope("g"), LockScope("g", "c_1")
    with catalog.transaction() as tx:
        first, second = locks.put(tx, a_lock(group)), locks.put(tx, a_lock(inside))
        assert locks.every(tx) == [first, second]
        changed = locks.put(tx, Lock(uuid4(), "LK", LockLevel.READ_ONLY, None, NOW, LockScope("G", "C_1")))
        assert changed == Lock(second.id, "lk", LockLevel.READ_ONLY, None, NOW, inside)
        locks.delete(tx, first)
        assert locks.find(tx, group, "lk") is None
        with pytest.raises(LockNotFound, match="lk"):
            locks.get(tx, group, "lk")
        assert locks.get(tx, LockScope("G", "c_1"), "Lk") == changed


def test_a_collection_is_unique_in_its_group(catalog: Catalog) -> None:
    catalog.migrate()
    made = RestorePointCollection(uuid4(), "AzureBackupRG_web01_1", "g", uuid4())
    with catalog.transaction() as tx:
        collections.insert(tx, made)
        assert collections.get(tx, "G", made.name.upper()) == made
        assert collections.of_machine(tx, made.vm_uuid) == [made]
        with pytest.raises(NotFound, match="other_1"):
            collections.get(tx, "g", "other_1")
    with pytest.raises(sa.exc.IntegrityError), catalog.transaction() as tx:
        collections.insert(tx, RestorePointCollection(uuid4(), made.name.upper(), "G", uuid4()))
    with catalog.transaction() as tx:
        collections.delete_if_empty(tx, made)
        assert collections.every(tx) == []


def test_older_collections_get_numbers_of_their_own(catalog: Catalog) -> None:
    migrate_to(catalog, "0002")
    rows = [
        {"id": uuid4(), "name": name, "resource_group": group, "vm_uuid": uuid4()}
        for name, group in (("A_x_1", "g"), ("A_x_1", "g"), ("a_X_1", "G"), ("A_x_1", "h"), ("A_y_1", "g"))
    ]
    with catalog.transaction() as tx:
        tx.execute(restore_point_collections.insert(), rows)
    catalog.migrate()
    with catalog.transaction() as tx:
        names = sorted((each.resource_group.lower(), each.name.lower()) for each in collections.every(tx))
    assert names == [("g", "a_x_1"), ("g", "a_x_2"), ("g", "a_x_3"), ("g", "a_y_1"), ("h", "a_x_1")]


def migrate_to(catalog: Catalog, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(str(room.__file__)).parent / "migrations"))
    with catalog.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
