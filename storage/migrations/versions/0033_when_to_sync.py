"""When each link is synced by itself."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("links", sa.Column("schedule", sa.Text(), nullable=True))
