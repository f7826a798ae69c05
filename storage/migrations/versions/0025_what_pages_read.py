"""Finds what waits, and the newest postings, without sorting everything of a link."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0023"
branch_labels = None
depends_on = None

PROBLEM = sa.text("problem IS NOT NULL")


def upgrade() -> None:
    op.create_index("ix_legs_where", "legs", ["link_id", "state", "source_id"])
    op.create_index("ix_outbox_newest", "outbox", ["link_id", "id"])
    op.drop_index("ix_outbox_problem", "outbox")
    op.create_index("ix_outbox_problem", "outbox", ["link_id", "state"], sqlite_where=PROBLEM, postgresql_where=PROBLEM)
