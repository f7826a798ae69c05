"""From Stripe to the books: what matching found, what people said, each document to write."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from storage.models.base import Id, metadata
from storage.types import Json, Utc

# Every part of every movement and where it stands. Exactly one row a leg: law 2.
legs = Table(
    "legs",
    metadata,
    Column("link_id", ForeignKey("links.id"), primary_key=True),
    Column("id", String(255), primary_key=True),
    Column("movement_id", String(255), nullable=False),
    Column("source_id", String(255), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("category", String(64), nullable=False),
    Column("balance_type", String(32), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("dated", Date, nullable=False),  # the movement's day in the link's zone
    Column("created_at", Utc, nullable=False),
    Column("before_cutover", Boolean, nullable=False),
    Column("state", String(16), nullable=False),  # matched | posted | waiting | ignored
    Column("reason", String(64), nullable=False),
    Column("detail", Text, nullable=False),
    Column("markers", Json, nullable=False),  # the postings that book it
    Column("document_ids", Json, nullable=False),  # the documents it is matched to
    Column("decided_at", Utc, nullable=False),
    Column("version", Integer, nullable=False),
    Index("ix_legs_state", "link_id", "state", "created_at"),
    Index("ix_legs_where", "link_id", "state", "source_id"),
    Index("ix_legs_movement", "link_id", "movement_id"),
    Index("ix_legs_source", "link_id", "source_id"),
    Index("ix_legs_reason", "link_id", "state", "reason"),
    Index("ix_legs_dated", "link_id", "dated"),
)

# What matching found, with its reasons; replaced as a whole for the items it names.
matches = Table(
    "matches",
    metadata,
    Column("link_id", ForeignKey("links.id"), primary_key=True),
    Column("id", String(255), primary_key=True),
    Column("source_id", String(255), nullable=False),  # the Stripe object matched
    Column("decision", String(16), nullable=False),  # auto | proposed
    Column("tier", String(32), nullable=False),
    Column("role", String(32), nullable=False),  # already_recorded | pays_invoice
    Column("rank", Integer, nullable=False),  # 1 is the best; equal ranks are equally good
    Column("probability_ppm", Integer),
    Column("reasons", Json, nullable=False),
    Column("allocations", Json, nullable=False),  # [{ledger_id, amount_minor}]
    # [{ledger_id, field, level, weight}]: what each field told, in milli-bits; null if nothing was kept
    Column("evidence", Json),
    Column("decided_at", Utc, nullable=False),
    Index("ix_matches_source", "link_id", "source_id"),
)

# What people decided about single Stripe objects; never removed, only undone.
decisions = Table(
    "decisions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("link_id", ForeignKey("links.id"), nullable=False),
    Column("source_id", String(255), nullable=False),  # the Stripe object decided on
    Column("kind", String(32), nullable=False),  # match | not_match | ignore | record_without_invoice | undone
    Column("parts", Json, nullable=False),  # [{ledger_id, amount_minor}] of match and not_match
    Column("leg_ids", Json, nullable=False),  # what waited of the object then
    Column("how", String(32)),  # sales_receipt | unapplied_payment, of record_without_invoice
    Column("customer_id", String(64)),  # in the books, of record_without_invoice
    Column("reason", Text, nullable=False),  # in the person's words
    Column("actor", String(100), nullable=False),
    Column("at", Utc, nullable=False),
    Column("state", String(16), nullable=False),  # standing | undone
    Column("undone_by", String(100)),
    Column("undone_at", Utc),
    # For the next model: what was offered, and whether it was right; who paid, and which customer that is. Else null.
    Column("learned", Json),
    Index("ix_decisions_source", "link_id", "source_id"),
)

# What is to be written, once each. `body` is frozen at the first claim; the same bytes are sent ever after.
outbox = Table(
    "outbox",
    metadata,
    Column("id", Id, primary_key=True),
    Column("link_id", ForeignKey("links.id"), nullable=False),
    Column("connection_id", ForeignKey("connections.id"), nullable=False),
    Column("marker", String(255), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("dated", Date, nullable=False),
    Column("posting", Json, nullable=False),
    Column("after", String(255)),
    Column(
        "state", String(16), nullable=False
    ),  # planned | withdrawn | sending | doubtful | posted | verified | waiting | spent
    Column("request_id", String(64)),  # of the row when it goes alone
    Column("batch_id", String(36)),  # of the batch it went out in and whose answer did not settle it: it goes alone now
    Column("body", Text),
    Column("body_hash", String(64)),
    Column("attempt", Integer, nullable=False),
    Column("search_from", Utc),  # by the ledger's clock: the document was certainly not there before
    Column("lease_until", Utc),
    Column("next_at", Utc),
    Column("document_id", String(255)),
    Column("document_version", String(32)),
    Column("problem", Text),
    Column("technical", Text),
    Column("cause", String(32)),  # of a refusal, in our words (sync.errors); null: nothing more is known than its text
    Column("planned_at", Utc, nullable=False),
    Column("posted_at", Utc),
    Column("look_up", Json),  # where a search for the marker stands, while doubtful
    Column("asked_by", String(100)),  # the person who asked for it by itself: no plan takes it back
    Column("undoes", String(255)),  # the marker of the row whose document it takes back
    UniqueConstraint("link_id", "marker"),
    Index(
        "uq_outbox_undoes",
        "link_id",
        "undoes",
        unique=True,
        sqlite_where=text("undoes IS NOT NULL AND state NOT IN ('withdrawn', 'spent')"),
        postgresql_where=text("undoes IS NOT NULL AND state NOT IN ('withdrawn', 'spent')"),
    ),
    Index(
        "ix_outbox_undoes",
        "link_id",
        "undoes",
        sqlite_where=text("undoes IS NOT NULL"),
        postgresql_where=text("undoes IS NOT NULL"),
    ),
    Index(
        "ix_outbox_problem",
        "link_id",
        "state",
        sqlite_where=text("problem IS NOT NULL"),
        postgresql_where=text("problem IS NOT NULL"),
    ),
    Index("ix_outbox_due", "connection_id", "state", "id"),
    Index("ix_outbox_newest", "link_id", "id"),
    Index("ix_outbox_marker", "connection_id", "marker"),
    Index("ix_outbox_document", "connection_id", "document_id", "state"),
    Index(
        "ix_outbox_after",
        "link_id",
        "after",
        sqlite_where=text("after IS NOT NULL"),
        postgresql_where=text("after IS NOT NULL"),
    ),
)

# What is odd about documents in the books, found anew by every sync.
findings = Table(
    "findings",
    metadata,
    Column("link_id", ForeignKey("links.id"), primary_key=True),
    Column("id", String(255), primary_key=True),
    Column("dated", Date, nullable=False),
    Column("body", Json, nullable=False),
    Column("since", Utc, nullable=False),
    Column("settled_by", String(100)),  # the person who left it as it is
    Column("settled_version", String(32)),  # of the document then; another one is another finding
)

# Days carried forward (storage.carried): of what is settled only the sum. Made of the rows above, at any time again.
carried = Table(
    "carried",
    metadata,
    Column("link_id", ForeignKey("links.id"), primary_key=True),
    Column("as_of", BigInteger, nullable=False),  # the last entry of the audit then
    Column("key", String(64), nullable=False),  # of the settings that the sums depend on
)
carried_days = Table(
    "carried_days",
    metadata,
    Column("link_id", ForeignKey("links.id"), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("sums", Json, nullable=False),  # of documents: {currency: {kind: [number, minor units]}}
    Column("leg_ids", Json, nullable=False),  # what is not settled of the day
    Column("document_ids", Json, nullable=False),
)
tallied_days = Table(
    "tallied_days",
    metadata,
    Column("link_id", ForeignKey("links.id"), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("entries", Json, nullable=False),  # its legs that do not wait, counted (storage.tallies)
)
