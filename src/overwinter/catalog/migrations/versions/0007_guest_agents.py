"""When the guest agent of each VM last answered"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this version."""
    op.create_table(
        "guest_agents",
        sa.Column("vm_uuid", sa.Uuid(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.String(200), nullable=False),
        sa.Column("system", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("vm_uuid", name="pk_guest_agents"),
    )
