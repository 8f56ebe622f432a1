"""Whether anybody works on a job, or it waits for its turn"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this version."""
    op.add_column("jobs", sa.Column("begun", sa.Boolean, nullable=False, server_default=sa.false()))
