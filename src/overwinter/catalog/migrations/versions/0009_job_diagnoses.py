"""What was behind the errors of a job"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this version. Nobody has looked into the jobs from before."""
    op.add_column("jobs", sa.Column("diagnosis", sa.JSON(), nullable=True))
