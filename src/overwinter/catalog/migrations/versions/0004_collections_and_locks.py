"""Locks, unique names of restore point collections, the stack of a vault"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this version."""
    op.add_column("vaults", sa.Column("stack", sa.String(length=8), nullable=False, server_default="V2"))
    op.create_table(
        "locks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=260), nullable=False),
        sa.Column("level", sa.String(length=20), nullable=False),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resource_group", sa.String(length=90), nullable=False),
        sa.Column("collection", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_locks"),
    )
    op.create_index(
        "uq_locks_name",
        "locks",
        [sa.text("lower(resource_group)"), sa.text("lower(collection)"), sa.text("lower(name)")],
        unique=True,
    )
    _number_anew()
    op.create_index(
        "uq_restore_point_collections_name",
        "restore_point_collections",
        [sa.text("lower(resource_group)"), sa.text("lower(name)")],
        unique=True,
    )


def _number_anew() -> None:
    """Collections of VMs of the same name had the same name so far."""
    collections = sa.table(
        "restore_point_collections",
        sa.column("id", sa.Uuid()),
        sa.column("name", sa.String()),
        sa.column("resource_group", sa.String()),
    )
    connection = op.get_bind()
    taken: set[tuple[str, str]] = set()
    for row in connection.execute(sa.select(collections).order_by(collections.c.id)).all():
        stem, _, number = row.name.rpartition("_")
        name = row.name
        while (row.resource_group.lower(), name.lower()) in taken:
            number = int(number) + 1
            name = f"{stem}_{number}"
        taken.add((row.resource_group.lower(), name.lower()))
        connection.execute(collections.update().where(collections.c.id == row.id).values(name=name))
