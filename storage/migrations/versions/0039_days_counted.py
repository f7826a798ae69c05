"""Days carried forward keep counts of legs and of documents; those that were kept without are made anew."""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(sa.text("DELETE FROM carried_days"))
    op.execute(sa.text("DELETE FROM carried"))
    op.create_table(
        "tallied_days",
        sa.Column("link_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("entries", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["link_id"], ["links.id"], name=op.f("fk_tallied_days_link_id_links")),
        sa.PrimaryKeyConstraint("link_id", "day", name=op.f("pk_tallied_days")),
    )
