"""Policies are their documents; schedules, and the rule that keeps a recovery point"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this version."""
    for column in ("type", "instant_retention_days", "daily_retention_days", "required_consistency"):
        op.drop_column("policies", column)
    op.add_column("recovery_points", sa.Column("scheduled", sa.DateTime(timezone=True), nullable=True))
    op.add_column("recovery_points", sa.Column("rule", sa.String(length=20), nullable=True))
    op.create_table(
        "schedules",
        sa.Column("item_id", sa.Uuid(), nullable=False),
        sa.Column("done_until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["item_id"], ["protected_items.id"], name="fk_schedules_item_id_protected_items"
        ),
        sa.PrimaryKeyConstraint("item_id", name="pk_schedules"),
    )
