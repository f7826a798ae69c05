"""Finds what an undo takes back, and documents that were changed or are gone, without reading everything posted."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0020"
branch_labels = None
depends_on = None

UNDOES = sa.text("undoes IS NOT NULL")
PROBLEM = sa.text("problem IS NOT NULL")
GONE = (sa.text("deleted IS 1"), sa.text("deleted IS true"))


def upgrade() -> None:
    op.create_index("ix_outbox_undoes", "outbox", ["link_id", "undoes"], sqlite_where=UNDOES, postgresql_where=UNDOES)
    op.create_index("ix_outbox_problem", "outbox", ["link_id"], sqlite_where=PROBLEM, postgresql_where=PROBLEM)
    op.create_index(
        "ix_mirror_gone", "mirror", ["connection_id", "kind"], sqlite_where=GONE[0], postgresql_where=GONE[1]
    )
