"""Who is connected to whom, and what keeps that running."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from storage.models.base import Id, metadata
from storage.types import Json, Utc

# Credentials to one Stripe account or one company. `mode` is live, test, emulated or
# files (reports a person imports, without any credentials), and never changes.
connections = Table(
    "connections",
    metadata,
    Column("id", Id, primary_key=True),
    Column("system", String(16), nullable=False),  # stripe | qbo | qbd
    Column("external_id", String(64), nullable=False),  # account, realm or FileID
    Column("name", String(200), nullable=False),
    Column("mode", String(16), nullable=False),
    Column("settings", Json, nullable=False),  # addresses; never a secret
    Column("state", String(16), nullable=False),  # ready | limited | reconnect | disconnected
    Column("problem", Text),  # in plain words, when not ready
    Column("checked_at", Utc),
    Column("consent_ends_at", Utc),  # when a person has to consent again, whatever is refreshed until then
    UniqueConstraint("system", "external_id", "mode"),  # a Stripe account has the same id in its own test mode
)

secrets = Table(
    "secrets",
    metadata,
    Column("connection_id", ForeignKey("connections.id"), primary_key=True),
    Column("purpose", String(32), primary_key=True),
    Column("ciphertext", LargeBinary, nullable=False),
    Column("updated_at", Utc, nullable=False),
)

# A person is at Intuit, asked for consent: what came before, kept until they are back, for one browser session.
consents = Table(
    "consents",
    metadata,
    Column("id", Id, primary_key=True),
    Column("state_hash", String(64), nullable=False, unique=True),
    Column("session_hash", String(64), nullable=False),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("connection_id", ForeignKey("connections.id")),  # the one to open again; null for a new one
    Column("mode", String(16), nullable=False),
    Column("redirect_uri", Text, nullable=False),
    Column("client", LargeBinary, nullable=False),  # id and secret of the app, sealed
    Column("expires_at", Utc, nullable=False),
    Column("used_at", Utc),  # when the answer came; a second one is refused
    Column("opened_id", ForeignKey("connections.id")),  # what came of it
    Column("problem", Text),  # or why nothing came of it, in plain words
)

# What only one worker at a time may do with a connection: refresh its tokens.
leases = Table(
    "leases",
    metadata,
    Column("connection_id", ForeignKey("connections.id"), primary_key=True),
    Column("purpose", String(32), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("until", Utc, nullable=False),
)

# How far each limit of a company is used up: shared by everybody who asks it for something.
budgets = Table(
    "budgets",
    metadata,
    Column("connection_id", ForeignKey("connections.id"), primary_key=True),
    Column("name", String(32), primary_key=True),
    Column("used_to", Utc, nullable=False),
)

# Reads that the other side counts (and limits) by the month.
metered_reads = Table(
    "metered_reads",
    metadata,
    Column("connection_id", ForeignKey("connections.id"), primary_key=True),
    Column("month", String(7), primary_key=True),  # as 2026-11, in UTC
    Column("number", BigInteger, nullable=False),
)

# One Stripe account joined to one company. `revision` counts every change that matching may depend on.
links = Table(
    "links",
    metadata,
    Column("id", Id, primary_key=True),
    Column("processor_id", ForeignKey("connections.id"), nullable=False, unique=True),
    Column("ledger_id", ForeignKey("connections.id"), nullable=False),
    Column("name", String(200), nullable=False),
    Column("cutover", Date, nullable=False),
    Column("time_zone", String(64), nullable=False),
    Column("mappings", Json, nullable=False),
    Column("policies", Json, nullable=False),
    Column("posting_on", Boolean, nullable=False),
    Column("dry_run_by", String(255)),  # the accountant who looked at it last, since mappings or policies changed
    Column("dry_run_at", Utc),
    Column("revision", BigInteger, nullable=False),
    Column("decided_revision", BigInteger, nullable=False),
    Column("model", Text),  # how likely answers are weighed (reconcile.model); null: as shipped
    Column("openings", Json),  # Stripe's balances at the start of the cut-over day; null until they are known
    Column("balances", Json, nullable=False),  # the Stripe balance at the last sync, by currency
    Column("balances_at", Utc),
    Column("schedule", Json),  # storage.schedules; null: the installation's interval
)

# What a Web Connector is to make or note in the lists of its company file with its next visit, each once.
errands = Table(
    "errands",
    metadata,
    Column("id", Id, primary_key=True),
    Column("connection_id", ForeignKey("connections.id"), nullable=False, index=True),
    Column("link_id", ForeignKey("links.id"), nullable=False),
    Column("kind", String(16), nullable=False),  # account | item | vendor | customer | note
    Column("subject", String(64), nullable=False),  # the role it is for; the customer of Stripe, or of the books
    Column("name", String(255), nullable=False),
    Column("content", Json, nullable=False),
    Column("state", String(16), nullable=False),  # asked | sending | done | refused
    Column("attempt", Integer, nullable=False),
    Column("object_id", String(64)),  # what it made, or was written on
    Column("problem", Text),
    Column("asked_by", String(255), nullable=False),
    Column("asked_at", Utc, nullable=False),
    UniqueConstraint("link_id", "kind", "subject"),
)
