"""What has changed in periods that were prepared or signed off."""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("closes", sa.Column("drift", sa.Text(), nullable=True))
