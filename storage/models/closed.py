"""Periods that were signed off."""

from sqlalchemy import Column, Date, ForeignKey, Index, String, Table, Text

from storage.models.base import Id, metadata
from storage.types import Json, Utc

# A period as somebody prepared it. What was signed is never changed; a period that is opened again is prepared anew.
closes = Table(
    "closes",
    metadata,
    Column("id", Id, primary_key=True),
    Column("link_id", ForeignKey("links.id"), nullable=False),
    Column("first", Date, nullable=False),
    Column("last", Date, nullable=False),
    Column("state", String(16), nullable=False),  # prepared | signed | reopened | replaced
    Column("pack", Json, nullable=False),
    Column("digest", String(64), nullable=False),  # SHA-256 of the pack
    Column("note", Text, nullable=False),  # the preparer's, about what is open
    Column("prepared_by", String(100), nullable=False),
    Column("prepared_at", Utc, nullable=False),
    Column("signed_by", String(100)),
    Column("signed_at", Utc),
    Column("reopened_by", String(100)),
    Column("reopened_at", Utc),
    Column("why", Text),  # it was opened again
    Column("drift", Json),  # what has changed since (storage.closes); null: not known since days were carried forward
    Index("ix_closes_link", "link_id", "last"),
)
