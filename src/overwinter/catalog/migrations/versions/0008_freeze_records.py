"""What stood still while a recovery point was taken"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this version. Nothing is known of points from before."""
    op.add_column("recovery_points", sa.Column("freeze", sa.JSON(), nullable=True))
