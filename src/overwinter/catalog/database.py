"""The catalog database: opening it, bringing its schema up to date, and transactions.

SQLite (WAL) by default, PostgreSQL by URL. Every use is a short transaction::

    with catalog.transaction() as tx:
        jobs.set_status(tx, job_id, JobStatus.COMPLETED, ended=now)

The query modules of this room (``vaults``, ``policies``, ``schedules``, ``items``, ``points``,
``collections``, ``locks``, ``captures``, ``merges``, ``tracks``, ``jobs``, ``upkeep``) take such a
transaction as their first argument, so that one change of several tables is one commit.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy import event

from overwinter.model.errors import CatalogUnavailable

Transaction = sa.Connection


def _prepare_sqlite(engine: sa.Engine) -> None:
    """Make SQLite transactions durable, checked for foreign keys, and begun as writers.

    A transaction that begins as a reader and writes later can fail with "database is locked" no matter how
    long it is willing to wait (SQLite documentation, "Isolation"); ours are short, so all begin as writers.
    """

    @event.listens_for(engine, "connect")
    def _connect(connection: object, _record: object) -> None:
        connection.isolation_level = None  # type: ignore[attr-defined]  # sqlite3: we send BEGIN ourselves
        cursor = connection.cursor()  # type: ignore[attr-defined]
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=60000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


#: What SQLite says when it has no room or may not write (the lower byte of its error codes).
_SQLITE_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY)


def _cause(error: sa.exc.SQLAlchemyError) -> str | None:
    """What is behind it, where the database's driver says so."""
    driver = error.orig if isinstance(error, sa.exc.DBAPIError) else None
    if isinstance(driver, sqlite3.Error):
        code = getattr(driver, "sqlite_errorcode", 0)  # only errors of SQLite itself have one
        return "C-DATABASE-FULL" if code & 0xFF in _SQLITE_FULL else None
    # A server that could not be reached has sent no state of an error.
    lost = isinstance(driver, psycopg.OperationalError) and driver.sqlstate is None
    return "C-DATABASE-AWAY" if lost else None


class Catalog:
    """An open catalog. ``url`` is an SQLAlchemy URL; ``close`` releases its connections."""

    def __init__(self, url: str) -> None:
        parsed = sa.make_url(url)
        if parsed.get_backend_name() == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        self.url = parsed
        self.engine = sa.create_engine(parsed, pool_pre_ping=True)
        if self.engine.dialect.name == "sqlite":
            _prepare_sqlite(self.engine)

    def migrate(self) -> None:
        """Bring the schema to the newest version. Raises CatalogUnavailable with the database's words."""
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        try:
            with self.engine.begin() as connection:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        except sa.exc.SQLAlchemyError as error:
            address = self.url.render_as_string(hide_password=True)
            message = f"The catalog database {address} cannot be opened: {error}"
            raise CatalogUnavailable(message, cause=_cause(error)) from error

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One transaction: committed at the end of the block, rolled back when it raises.

        Raises CatalogUnavailable when the database cannot be reached, goes away or has no room. When it went
        away at the very end, it is unknown whether the changes stay: look before repeating them.
        """
        try:
            with self.engine.begin() as connection:
                yield connection
        except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
            address = self.url.render_as_string(hide_password=True)
            raise CatalogUnavailable(
                f"The catalog database {address} does not do its work: {error.orig}", cause=_cause(error)
            ) from error

    def close(self) -> None:
        """Release all connections."""
        self.engine.dispose()
