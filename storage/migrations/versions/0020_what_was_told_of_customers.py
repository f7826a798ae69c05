"""What was last compared of the names and addresses of counterparts."""

import sqlalchemy as sa
from alembic import op

import storage.types

revision = "0020"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("customer_links", schema=None) as batch_op:
        batch_op.add_column(sa.Column("told", storage.types.Json(), nullable=True))
