"""Finds what came after a posting, and who made a document, without going through all of a link."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

AFTER = sa.text("after IS NOT NULL")


def upgrade() -> None:
    op.create_index("ix_outbox_after", "outbox", ["link_id", "after"], sqlite_where=AFTER, postgresql_where=AFTER)
    op.drop_index("ix_outbox_document", "outbox")
    op.create_index("ix_outbox_document", "outbox", ["connection_id", "document_id", "state"])
