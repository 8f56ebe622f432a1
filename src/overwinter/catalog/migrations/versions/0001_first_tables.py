"""First tables"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this version."""
    op.create_table(
        "captures",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("vm_uuid", sa.Uuid(), nullable=False),
        sa.Column("vm_name", sa.String(length=255), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disks", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_captures"),
    )
    op.create_index("ix_captures_vm_uuid", "captures", ["vm_uuid"], unique=False)

    op.create_table(
        "merges",
        sa.Column("vm_uuid", sa.Uuid(), nullable=False),
        sa.Column("target", sa.String(length=32), nullable=False),
        sa.Column("overlay", sa.Text(), nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("vm_uuid", "target", name="pk_merges"),
    )
    op.create_table(
        "restore_point_collections",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("resource_group", sa.String(length=90), nullable=False),
        sa.Column("vm_uuid", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_restore_point_collections"),
    )
    op.create_index(
        "ix_restore_point_collections_vm_uuid", "restore_point_collections", ["vm_uuid"], unique=False
    )

    op.create_table(
        "settings",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_settings"),
    )
    op.create_table(
        "vaults",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=50), nullable=False),
        sa.Column("resource_group", sa.String(length=90), nullable=False),
        sa.Column("location", sa.String(length=64), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("key_kind", sa.String(length=20), nullable=False),
        sa.Column("key_reference", sa.Text(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_vaults"),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("item_id", sa.Uuid(), nullable=True),
        sa.Column("vm_uuid", sa.Uuid(), nullable=False),
        sa.Column("vm_name", sa.String(length=255), nullable=False),
        sa.Column("operation", sa.String(length=30), nullable=False),
        sa.Column("status", sa.String(length=30), nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended", sa.DateTime(timezone=True), nullable=True),
        sa.Column("errors", sa.JSON(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("properties", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["vault_id"], ["vaults.id"], name="fk_jobs_vault_id_vaults"),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_item_id", "jobs", ["item_id"], unique=False)
    op.create_index("ix_jobs_started", "jobs", ["started"], unique=False)
    op.create_index("ix_jobs_vault_id", "jobs", ["vault_id"], unique=False)
    op.create_index(
        "uq_jobs_active",
        "jobs",
        ["vm_uuid"],
        unique=True,
        sqlite_where=sa.text("status IN ('InProgress', 'Cancelling') AND operation <> 'Restore'"),
        postgresql_where=sa.text("status IN ('InProgress', 'Cancelling') AND operation <> 'Restore'"),
    )

    op.create_table(
        "policies",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=150), nullable=False),
        sa.Column("type", sa.String(length=8), nullable=False),
        sa.Column("instant_retention_days", sa.Integer(), nullable=False),
        sa.Column("daily_retention_days", sa.Integer(), nullable=False),
        sa.Column("required_consistency", sa.String(length=30), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["vault_id"], ["vaults.id"], name="fk_policies_vault_id_vaults"),
        sa.PrimaryKeyConstraint("id", name="pk_policies"),
    )
    op.create_index("ix_policies_vault_id", "policies", ["vault_id"], unique=False)

    op.create_table(
        "restore_points",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("collection_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("consistency", sa.String(length=30), nullable=False),
        sa.Column("freeze_ms", sa.Integer(), nullable=True),
        sa.Column("disks", sa.JSON(), nullable=False),
        sa.Column("domain_xml", sa.Text(), nullable=False),
        sa.Column("nvram", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["collection_id"],
            ["restore_point_collections.id"],
            name="fk_restore_points_collection_id_restore_point_collections",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_restore_points"),
    )
    op.create_index("ix_restore_points_collection_id", "restore_points", ["collection_id"], unique=False)

    op.create_table(
        "job_tasks",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("status", sa.String(length=30), nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done", sa.BigInteger(), nullable=True),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_job_tasks_job_id_jobs"),
        sa.PrimaryKeyConstraint("job_id", "position", name="pk_job_tasks"),
    )
    op.create_table(
        "protected_items",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("policy_id", sa.Uuid(), nullable=False),
        sa.Column("vm_uuid", sa.Uuid(), nullable=False),
        sa.Column("vm_name", sa.String(length=255), nullable=False),
        sa.Column("resource_group", sa.String(length=90), nullable=False),
        sa.Column("state", sa.String(length=30), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_backup", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_backup_status", sa.String(length=30), nullable=False),
        sa.Column("last_recovery_point", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["policy_id"], ["policies.id"], name="fk_protected_items_policy_id_policies"),
        sa.ForeignKeyConstraint(["vault_id"], ["vaults.id"], name="fk_protected_items_vault_id_vaults"),
        sa.PrimaryKeyConstraint("id", name="pk_protected_items"),
    )
    op.create_index("ix_protected_items_policy_id", "protected_items", ["policy_id"], unique=False)
    op.create_index("ix_protected_items_vault_id", "protected_items", ["vault_id"], unique=False)
    op.create_index(
        "uq_protected_items_active",
        "protected_items",
        ["vm_uuid"],
        unique=True,
        sqlite_where=sa.text("state <> 'ProtectionStopped'"),
        postgresql_where=sa.text("state <> 'ProtectionStopped'"),
    )

    op.create_table(
        "recovery_points",
        sa.Column("id", sa.String(length=20), nullable=False),
        sa.Column("item_id", sa.Uuid(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("consistency", sa.String(length=30), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=True),
        sa.Column("restore_point", sa.Uuid(), nullable=True),
        sa.Column("manifest", sa.String(length=64), nullable=True),
        sa.Column("bytes_read", sa.BigInteger(), nullable=False),
        sa.Column("bytes_stored", sa.BigInteger(), nullable=False),
        sa.Column("incremental", sa.Boolean(), nullable=False),
        sa.Column("freeze_ms", sa.Integer(), nullable=True),
        sa.Column("warnings", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["item_id"], ["protected_items.id"], name="fk_recovery_points_item_id_protected_items"
        ),
        sa.ForeignKeyConstraint(
            ["restore_point"], ["restore_points.id"], name="fk_recovery_points_restore_point_restore_points"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_recovery_points"),
    )
    op.create_index("ix_recovery_points_item_id", "recovery_points", ["item_id"], unique=False)
    op.create_index("ix_recovery_points_restore_point", "recovery_points", ["restore_point"], unique=False)

    op.create_table(
        "tracks",
        sa.Column("item_id", sa.Uuid(), nullable=False),
        sa.Column("target", sa.String(length=32), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("layers", sa.JSON(), nullable=False),
        sa.Column("map_root", sa.String(length=128), nullable=False),
        sa.Column("chunk_size", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["item_id"], ["protected_items.id"], name="fk_tracks_item_id_protected_items"
        ),
        sa.PrimaryKeyConstraint("item_id", "target", name="pk_tracks"),
    )
    op.create_index("uq_vaults_name", "vaults", [sa.text("lower(name)")], unique=True)
    op.create_index("uq_policies_name", "policies", ["vault_id", sa.text("lower(name)")], unique=True)
