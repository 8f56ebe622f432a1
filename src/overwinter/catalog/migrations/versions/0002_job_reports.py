"""What jobs have found out"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this version."""
    op.add_column("jobs", sa.Column("report", sa.JSON(none_as_null=True), nullable=True))
