"""Where to look for what an event names; where readings stand."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

CURSORS = sa.table(
    "cursors", sa.column("connection_id"), sa.column("stream"), sa.column("position", sa.Text), sa.column("updated_at")
)
MIRROR = sa.table("mirror", sa.column("kind"), sa.column("open", sa.Boolean))


def upgrade() -> None:
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.add_column(sa.Column("object_created_at", sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index("ix_outbox_marker", ["connection_id", "marker"], unique=False)
    # Payouts are open until they are itemised; those that were are closed by the next sync.
    op.execute(MIRROR.update().where(MIRROR.c.kind == "payout").values(open=True))
    connection = op.get_bind()
    query = sa.select(CURSORS.c.connection_id, CURSORS.c.stream, CURSORS.c.position)
    for row in connection.execute(query.where(CURSORS.c.stream.in_(("events", "reading")))).all():
        position = json.loads(row.position)
        if row.stream == "events":
            position = {"after": position["after"], "at": position["since"]}
        else:  # a reading that was under way begins again where the one before it had begun
            position = {"steps": [], "at": position["at"], "timed": position["timed"]}
            if json.loads(row.position)["mode"] != "idle":
                position["at"] = json.loads(row.position)["pages_from"]
        connection.execute(
            CURSORS.update()
            .where(CURSORS.c.connection_id == row.connection_id, CURSORS.c.stream == row.stream)
            .values(position=json.dumps(position, sort_keys=True, separators=(",", ":")))
        )
