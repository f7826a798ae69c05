"""What people said to each other about Stripe objects."""

from sqlalchemy import Column, ForeignKey, Index, String, Table, Text

from storage.models.base import Id, metadata
from storage.types import Utc

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
