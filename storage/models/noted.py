"""What people said to each other about Stripe objects, and what one asks another one to approve."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, String, Table, Text, text

from storage.models.base import Id, metadata
from storage.types import Json, Utc

# Never changed. The newest note of an object says who is asked; nobody, if it names none.
notes = Table(
    "notes",
    metadata,
    Column("id", Id, primary_key=True),
    Column("link_id", ForeignKey("links.id"), nullable=False),
    Column("source_id", String(255), nullable=False),  # the Stripe object
    Column("at", Utc, nullable=False),
    Column("actor", String(100), nullable=False),
    Column("text", Text, nullable=False),
    Column("asked", String(100)),  # the address of the person who is asked
    Index("ix_notes_source", "link_id", "source_id", "id"),
)

# What a person may do only with the yes of a second one; of one subject one at a time waits.
approvals = Table(
    "approvals",
    metadata,
    Column("id", Id, primary_key=True),
    Column("link_id", ForeignKey("links.id"), nullable=False),
    Column("action", String(32), nullable=False),  # the command
    Column("subject", String(255), nullable=False),  # the Stripe object, or the document
    Column("arguments", Json, nullable=False),  # of the command, with the versions that were seen
    Column("currency", String(3), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("text", Text, nullable=False),  # what it will do
    Column("asked_by", ForeignKey("users.id"), nullable=False),
    Column("asked_at", Utc, nullable=False),
    Column("state", String(16), nullable=False),  # waiting | approved | declined | stale
    Column("settled_by", ForeignKey("users.id")),
    Column("settled_at", Utc),
    Column("reason", Text),  # why it was declined, or could not be done any more
    Index(
        "uq_approvals_subject",
        "link_id",
        "subject",
        unique=True,
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
    Index("ix_approvals_state", "link_id", "state", "id"),
)
