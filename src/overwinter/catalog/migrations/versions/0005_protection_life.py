"""The life of protection: rules of vaults, chosen disks, deletions that can be taken back"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_INACTIVE = sa.text("state NOT IN ('ProtectionStopped', 'BackupsSuspended')")


def upgrade() -> None:
    """Bring the schema to this version. Vaults and items of before get what new ones get."""
    op.add_column("vaults", sa.Column("soft_delete", sa.String(20), nullable=False, server_default="Enabled"))
    op.add_column("vaults", sa.Column("soft_delete_days", sa.Integer(), nullable=False, server_default="14"))
    op.add_column(
        "vaults", sa.Column("immutability", sa.String(20), nullable=False, server_default="Disabled")
    )
    everything = '{"luns": [], "included": false}'
    op.add_column("protected_items", sa.Column("disks", sa.JSON(), nullable=False, server_default=everything))
    op.add_column("protected_items", sa.Column("deleted_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("protected_items", sa.Column("missing_since", sa.DateTime(timezone=True), nullable=True))
    op.drop_index("uq_protected_items_active", "protected_items")
    op.create_index(
        "uq_protected_items_active",
        "protected_items",
        ["vm_uuid"],
        unique=True,
        sqlite_where=_INACTIVE,
        postgresql_where=_INACTIVE,
    )
    op.add_column("recovery_points", sa.Column("deleted_until", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "vault_upkeep",
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("removed_points", sa.Integer(), nullable=False),
        sa.Column("collected", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["vault_id"], ["vaults.id"], name="fk_vault_upkeep_vault_id_vaults"),
        sa.PrimaryKeyConstraint("vault_id", name="pk_vault_upkeep"),
    )
