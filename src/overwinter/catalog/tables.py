"""The tables of the catalog and the column types they share. Changes come with a migration."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """Times with a zone, kept in UTC on every database (SQLite itself drops the zone)."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        """To UTC; a time without a zone is a programming error."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone reached the catalog")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        """Give the zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _id() -> sa.Column[Any]:
    return sa.Column("id", sa.Uuid, primary_key=True)


def _reference(name: str, target: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Uuid, sa.ForeignKey(target), nullable=nullable, index=True)


#: States of an item in which its VM may not be protected a second time (one active vault per VM).
_ACTIVE_ITEM = sa.text("state NOT IN ('ProtectionStopped', 'BackupsSuspended')")

#: Jobs that change a VM's chain exclude each other; a restore only reads and waits in the VM's queue.
_ACTIVE_CHAIN_JOB = sa.text("status IN ('InProgress', 'Cancelling') AND operation <> 'Restore'")

settings = sa.Table(
    "settings",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

vaults = sa.Table(
    "vaults",
    metadata,
    _id(),
    sa.Column("name", sa.String(50), nullable=False),
    sa.Column("resource_group", sa.String(90), nullable=False),
    sa.Column("location", sa.String(64), nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("key_kind", sa.String(20), nullable=False),
    sa.Column("key_reference", sa.Text, nullable=False),
    sa.Column("created", UtcDateTime, nullable=False),
    sa.Column("stack", sa.String(8), nullable=False),
    sa.Column("soft_delete", sa.String(20), nullable=False),
    sa.Column("soft_delete_days", sa.Integer, nullable=False),
    sa.Column("immutability", sa.String(20), nullable=False),
)
sa.Index("uq_vaults_name", sa.func.lower(vaults.c.name), unique=True)

policies = sa.Table(
    "policies",
    metadata,
    _id(),
    _reference("vault_id", "vaults.id"),
    sa.Column("name", sa.String(150), nullable=False),
    sa.Column("document", sa.JSON, nullable=False),
)
sa.Index("uq_policies_name", policies.c.vault_id, sa.func.lower(policies.c.name), unique=True)

protected_items = sa.Table(
    "protected_items",
    metadata,
    _id(),
    _reference("vault_id", "vaults.id"),
    _reference("policy_id", "policies.id"),
    sa.Column("vm_uuid", sa.Uuid, nullable=False),
    sa.Column("vm_name", sa.String(255), nullable=False),
    sa.Column("resource_group", sa.String(90), nullable=False),
    sa.Column("state", sa.String(30), nullable=False),
    sa.Column("created", UtcDateTime, nullable=False),
    sa.Column("last_backup", UtcDateTime),
    sa.Column("last_backup_status", sa.String(30), nullable=False),
    sa.Column("last_recovery_point", UtcDateTime),
    sa.Column("disks", sa.JSON, nullable=False),
    sa.Column("deleted_until", UtcDateTime),
    sa.Column("missing_since", UtcDateTime),
)
sa.Index(
    "uq_protected_items_active",
    protected_items.c.vm_uuid,
    unique=True,
    sqlite_where=_ACTIVE_ITEM,
    postgresql_where=_ACTIVE_ITEM,
)

restore_point_collections = sa.Table(
    "restore_point_collections",
    metadata,
    _id(),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("resource_group", sa.String(90), nullable=False),
    sa.Column("vm_uuid", sa.Uuid, nullable=False, index=True),
)
sa.Index(
    "uq_restore_point_collections_name",
    sa.func.lower(restore_point_collections.c.resource_group),
    sa.func.lower(restore_point_collections.c.name),
    unique=True,
)

#: Locks on a resource group, or on one collection in it; the collection is an empty text for the group.
locks = sa.Table(
    "locks",
    metadata,
    _id(),
    sa.Column("name", sa.String(260), nullable=False),
    sa.Column("level", sa.String(20), nullable=False),
    sa.Column("notes", sa.Text),
    sa.Column("created", UtcDateTime, nullable=False),
    sa.Column("resource_group", sa.String(90), nullable=False),
    sa.Column("collection", sa.String(255), nullable=False),
)
sa.Index(
    "uq_locks_name",
    sa.func.lower(locks.c.resource_group),
    sa.func.lower(locks.c.collection),
    sa.func.lower(locks.c.name),
    unique=True,
)

restore_points = sa.Table(
    "restore_points",
    metadata,
    _id(),
    _reference("collection_id", "restore_point_collections.id"),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("created", UtcDateTime, nullable=False),
    sa.Column("consistency", sa.String(30), nullable=False),
    sa.Column("freeze_ms", sa.Integer),
    sa.Column("disks", sa.JSON, nullable=False),
    sa.Column("domain_xml", sa.Text, nullable=False),
    sa.Column("nvram", sa.LargeBinary),
)

recovery_points = sa.Table(
    "recovery_points",
    metadata,
    sa.Column("id", sa.String(20), primary_key=True),
    _reference("item_id", "protected_items.id"),
    sa.Column("created", UtcDateTime, nullable=False),
    sa.Column("consistency", sa.String(30), nullable=False),
    sa.Column("expires", UtcDateTime),
    _reference("restore_point", "restore_points.id", nullable=True),
    sa.Column("manifest", sa.String(64)),
    sa.Column("bytes_read", sa.BigInteger, nullable=False),
    sa.Column("bytes_stored", sa.BigInteger, nullable=False),
    sa.Column("incremental", sa.Boolean, nullable=False),
    sa.Column("freeze_ms", sa.Integer),
    sa.Column("warnings", sa.JSON, nullable=False),
    sa.Column("scheduled", UtcDateTime),
    sa.Column("rule", sa.String(20)),
    sa.Column("deleted_until", UtcDateTime),
    sa.Column("freeze", sa.JSON(none_as_null=True)),
)

#: Per VM: when its guest agent last answered, and what it said of itself.
guest_agents = sa.Table(
    "guest_agents",
    metadata,
    sa.Column("vm_uuid", sa.Uuid, primary_key=True),
    sa.Column("time", UtcDateTime, nullable=False),
    sa.Column("version", sa.String(200), nullable=False),
    sa.Column("system", sa.JSON, nullable=False),
)

#: Per protected item: the last moment of its policy's schedule that is dealt with.
schedules = sa.Table(
    "schedules",
    metadata,
    sa.Column("item_id", sa.Uuid, sa.ForeignKey("protected_items.id"), primary_key=True),
    sa.Column("done_until", UtcDateTime, nullable=False),
)

#: What has gone from a vault since its space was freed.
vault_upkeep = sa.Table(
    "vault_upkeep",
    metadata,
    sa.Column("vault_id", sa.Uuid, sa.ForeignKey("vaults.id"), primary_key=True),
    sa.Column("removed_points", sa.Integer, nullable=False),
    sa.Column("collected", UtcDateTime),
)

#: A snapshot that is about to be taken or was just taken: written before the freeze, gone with the point.
captures = sa.Table(
    "captures",
    metadata,
    _id(),
    sa.Column("job_id", sa.Uuid, nullable=False),
    sa.Column("vm_uuid", sa.Uuid, nullable=False, index=True),
    sa.Column("vm_name", sa.String(255), nullable=False),
    sa.Column("created", UtcDateTime, nullable=False),
    sa.Column("disks", sa.JSON, nullable=False),
)

#: A merge of an overlay into the image below it that began: written before it, gone when it is accounted for.
merges = sa.Table(
    "merges",
    metadata,
    sa.Column("vm_uuid", sa.Uuid, primary_key=True),
    sa.Column("target", sa.String(32), primary_key=True),
    sa.Column("overlay", sa.Text, nullable=False),
    sa.Column("base", sa.Text, nullable=False),
)

#: Per disk: the frozen layers whose content is the map of the last transferred point.
tracks = sa.Table(
    "tracks",
    metadata,
    sa.Column("item_id", sa.Uuid, sa.ForeignKey("protected_items.id"), primary_key=True),
    sa.Column("target", sa.String(32), primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("layers", sa.JSON, nullable=False),
    sa.Column("map_root", sa.String(128), nullable=False),
    sa.Column("chunk_size", sa.Integer, nullable=False),
)

jobs = sa.Table(
    "jobs",
    metadata,
    _id(),
    _reference("vault_id", "vaults.id"),
    sa.Column("item_id", sa.Uuid, index=True),
    sa.Column("vm_uuid", sa.Uuid, nullable=False),
    sa.Column("vm_name", sa.String(255), nullable=False),
    sa.Column("operation", sa.String(30), nullable=False),
    sa.Column("status", sa.String(30), nullable=False),
    sa.Column("started", UtcDateTime, nullable=False, index=True),
    sa.Column("ended", UtcDateTime),
    sa.Column("errors", sa.JSON, nullable=False),
    sa.Column("parameters", sa.JSON, nullable=False),
    sa.Column("properties", sa.JSON, nullable=False),
    sa.Column("report", sa.JSON(none_as_null=True)),
    sa.Column("begun", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("diagnosis", sa.JSON(none_as_null=True)),
)
sa.Index(
    "uq_jobs_active",
    jobs.c.vm_uuid,
    unique=True,
    sqlite_where=_ACTIVE_CHAIN_JOB,
    postgresql_where=_ACTIVE_CHAIN_JOB,
)

job_tasks = sa.Table(
    "job_tasks",
    metadata,
    sa.Column("job_id", sa.Uuid, sa.ForeignKey("jobs.id"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(60), nullable=False),
    sa.Column("status", sa.String(30), nullable=False),
    sa.Column("started", UtcDateTime),
    sa.Column("ended", UtcDateTime),
    sa.Column("done", sa.BigInteger),
    sa.Column("total", sa.BigInteger),
)
