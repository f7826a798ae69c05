"""Days carried forward, so that a proof reads only what is not settled."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0025"
branch_labels = None
depends_on = None

LINK = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_index("ix_legs_dated", "legs", ["link_id", "dated"])
    op.create_table(
        "carried",
        sa.Column("link_id", LINK, nullable=False),
        sa.Column("as_of", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(["link_id"], ["links.id"], name="fk_carried_link_id_links"),
        sa.PrimaryKeyConstraint("link_id", name="pk_carried"),
    )
    op.create_table(
        "carried_days",
        sa.Column("link_id", LINK, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("sums", sa.Text(), nullable=False),
        sa.Column("leg_ids", sa.Text(), nullable=False),
        sa.Column("document_ids", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["link_id"], ["links.id"], name="fk_carried_days_link_id_links"),
        sa.PrimaryKeyConstraint("link_id", "day", name="pk_carried_days"),
    )
