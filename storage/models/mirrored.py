"""What the other systems said: their events, and a copy of their objects."""

from sqlalchemy import Boolean, Column, Date, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint, text

from storage.models.base import Id, metadata
from storage.types import Json, Utc

# Every event once, whoever delivers it and how often.
inbox = Table(
    "inbox",
    metadata,
    Column("id", Id, primary_key=True),
    Column("connection_id", ForeignKey("connections.id"), nullable=False),
    Column("event_id", String(255), nullable=False),
    Column("type", String(100), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("object_id", String(255), nullable=False),
    Column("object_created_at", Utc),  # where in the other side's lists to look for the object
    Column("occurred_at", Utc, nullable=False),
    Column("received_at", Utc, nullable=False),
    Column("channel", String(16), nullable=False),  # webhook | poll
    Column("state", String(16), nullable=False),  # new | done | waiting
    Column("attempts", Integer, nullable=False),
    Column("next_at", Utc),
    Column("problem", Text),
    UniqueConstraint("connection_id", "event_id"),
    Index("ix_inbox_due", "connection_id", "state", "id"),
    Index("ix_inbox_object", "object_id"),
)

# Where each listing of a connection stands.
cursors = Table(
    "cursors",
    metadata,
    Column("connection_id", ForeignKey("connections.id"), primary_key=True),
    Column("stream", String(64), primary_key=True),
    Column("position", Json, nullable=False),
    Column("updated_at", Utc, nullable=False),
)

# The last known state of every object of both systems. `record` is ours, `raw` the other side's text.
# `open` says that the object may still take part in matching, so that matching reads only those, unless `claimed`;
# of a payout, that it is not itemised yet.
mirror = Table(
    "mirror",
    metadata,
    Column("connection_id", ForeignKey("connections.id"), primary_key=True),
    Column("kind", String(32), primary_key=True),
    Column("object_id", String(255), primary_key=True),
    Column("record", Json, nullable=False),
    Column("raw", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("claimed", Boolean, nullable=False),  # a document that a match has used up
    Column("dated", Date),
    Column("parent_id", String(255)),  # the object it belongs to: the charge of a refund, the source of a movement
    Column("number", String(64)),  # what people call it: the number of an invoice
    Column("updated_at", Utc, nullable=False),
    Index("ix_mirror_open", "connection_id", "kind", "open"),
    Index("ix_mirror_parent", "connection_id", "kind", "parent_id"),
    Index("ix_mirror_dated", "connection_id", "kind", "dated"),
    Index("ix_mirror_number", "connection_id", "kind", "number"),
    Index("ix_mirror_updated", "connection_id", "kind", "updated_at"),
    Index(
        "ix_mirror_gone",
        "connection_id",
        "kind",
        sqlite_where=text("deleted IS 1"),
        postgresql_where=text("deleted IS true"),
    ),
)

# Every file that was imported into a link of files: what was understood of it, and the rows that were refused.
imports = Table(
    "imports",
    metadata,
    Column("id", Id, primary_key=True),
    Column("link_id", ForeignKey("links.id"), nullable=False),
    Column("connection_id", ForeignKey("connections.id"), nullable=False),
    Column("at", Utc, nullable=False),
    Column("actor", String(100), nullable=False),
    Column("name", String(255), nullable=False),
    Column("digest", String(64), nullable=False),  # SHA-256 of the file
    Column("report", String(64), nullable=False),
    Column("first_day", Date),
    Column("last_day", Date),
    Column("counts", Json, nullable=False),  # rows by what became of them
    Column("sums", Json, nullable=False),  # of the rows taken, by currency and column, in minor units
    Column("notes", Json, nullable=False),
    Column("problems", Json, nullable=False),  # [{line, column, value, text}]
    Index("ix_imports_link", "link_id", "id"),
)
