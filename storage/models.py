"""The tables. Everything durable is here; uniqueness lives in the schema, not in code.

Amounts are BigInteger minor units; instants are UTC. `version` columns count a row's changes, so that what a person
saw can be checked when they act on it.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from storage.types import Json, Utc

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# A row id that grows on both databases (SQLite gives rowids only to INTEGER).
Id = BigInteger().with_variant(Integer, "sqlite")

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
    Column("state", String(16), nullable=False),  # ready | reconnect | disconnected
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
)

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
)

# Which customer of the books is which at Stripe, pairs that may be, and pairs that a person kept apart.
customer_links = Table(
    "customer_links",
    metadata,
    Column("link_id", ForeignKey("links.id"), primary_key=True),
    Column("customer_id", String(64), primary_key=True),  # in the books; empty where there is none
    Column("processor_customer_id", String(255), primary_key=True),
    Column("currency", String(3), nullable=False),  # of the customer in the books
    Column(
        "state", String(16), nullable=False
    ),  # linked | proposed | apart; without a customer: wanted | refused | left
    Column("how", String(16), nullable=False),  # stored | email_and_name | merged | person | created
    Column("actor", String(100), nullable=False),
    Column("at", Utc, nullable=False),
    Column("noted_there", Boolean, nullable=False),  # the link stands in Stripe's metadata
    Column("noted_here", Boolean, nullable=False),  # ... and in the books, or need not
    Column("problem", Text),  # why it could not be made in the books
    Index(
        "uq_customer_links_customer",
        "link_id",
        "customer_id",
        unique=True,
        sqlite_where=text("state = 'linked'"),
        postgresql_where=text("state = 'linked'"),
    ),
    Index(
        "uq_customer_links_processor",
        "link_id",
        "processor_customer_id",
        "currency",
        unique=True,
        sqlite_where=text("state = 'linked'"),
        postgresql_where=text("state = 'linked'"),
    ),
)

# Where each invoice of the books stands on its way to Stripe, and what was decided about it last.
sent_invoices = Table(
    "sent_invoices",
    metadata,
    Column("link_id", ForeignKey("links.id"), primary_key=True),
    Column("invoice_id", String(255), primary_key=True),  # in the books
    Column("stage", String(16), nullable=False),  # none | created | lined | finalized | mailed
    Column("processor_invoice_id", String(255)),
    Column("payer_id", String(255)),  # the Stripe customer it was made for
    Column("revision", Integer, nullable=False),  # grows with each replacement
    Column("spent", Integer, nullable=False),  # numbers that Stripe keeps on voided ones
    Column("digest", String(64), nullable=False),  # of what was sent
    Column("reported", Json, nullable=False),  # payments from elsewhere: [{document_id, amount_minor, record_id, ...}]
    Column("customer_id", String(64)),
    Column("customer_name", String(500), nullable=False),
    Column("number", String(64)),
    Column("currency", String(3), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("open_minor", BigInteger, nullable=False),
    Column("dated", Date, nullable=False),
    Column("kind", String(8), nullable=False),  # do | wait | rest
    Column("reason", String(32), nullable=False),
    Column("detail", Text, nullable=False),
    Column("warnings", Json, nullable=False),
    Column("decided_at", Utc, nullable=False),
    Index("ix_sent_invoices_kind", "link_id", "kind", "dated"),
    Index("ix_sent_invoices_processor", "link_id", "processor_invoice_id"),
)

# Every write to Stripe (and of customers to the books): stored with its key before it is sent, once each.
sendings = Table(
    "sendings",
    metadata,
    Column("id", Id, primary_key=True),
    Column("link_id", ForeignKey("links.id"), nullable=False),
    Column("subject", String(255), nullable=False),  # invoice:70 | customer:58 | cus_...
    Column("step", String(32), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("key", String(255), nullable=False),  # Stripe's idempotency key
    Column("target_id", String(255)),  # the object it changes
    Column("params", Json, nullable=False),  # frozen: only these are ever sent under the key
    Column("effect", Json, nullable=False),  # what to record once it is done
    Column("state", String(16), nullable=False),  # sending | doubtful | done | waiting | given_up
    Column("attempt", Integer, nullable=False),
    Column("first_at", Utc, nullable=False),
    Column("lease_until", Utc),
    Column("next_at", Utc),
    Column("result_id", String(255)),
    Column("problem", Text),
    Column("technical", Text),
    Column("done_at", Utc),
    UniqueConstraint("link_id", "key"),
    Index("ix_sendings_state", "link_id", "state", "id"),
    Index(
        "uq_sendings_unsettled",
        "link_id",
        "subject",
        unique=True,
        sqlite_where=text("state IN ('sending', 'doubtful', 'waiting')"),
        postgresql_where=text("state IN ('sending', 'doubtful', 'waiting')"),
    ),
)

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
    Index("ix_legs_movement", "link_id", "movement_id"),
    Index("ix_legs_source", "link_id", "source_id"),
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
    Column("kind", String(32), nullable=False),  # match | not_match | ignore | record_without_invoice
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
    Column("planned_at", Utc, nullable=False),
    Column("posted_at", Utc),
    Column("look_up", Json),  # where a search for the marker stands, while doubtful
    Column("asked_by", String(100)),  # the person who asked for it by itself: no plan takes it back
    UniqueConstraint("link_id", "marker"),
    Index("ix_outbox_due", "connection_id", "state", "id"),
    Index("ix_outbox_marker", "connection_id", "marker"),
    Index("ix_outbox_document", "connection_id", "document_id"),
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

# Every sync, asked for or due: one row a due time, however many processes tick.
runs = Table(
    "runs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("link_id", ForeignKey("links.id"), nullable=False),
    Column("kind", String(16), nullable=False),  # sync
    Column("cause", String(64), nullable=False),  # schedule | the person who asked
    Column("scheduled_for", Utc, nullable=False),
    Column("state", String(16), nullable=False),  # queued | running | done | failed
    Column("step", String(64), nullable=False),
    Column("done", Integer, nullable=False),
    Column("total", Integer),
    Column("counts", Json, nullable=False),
    Column("problem", Text),
    Column("lease_until", Utc),
    Column("started_at", Utc),
    Column("finished_at", Utc),
    UniqueConstraint("link_id", "kind", "scheduled_for"),
    Index(
        "uq_runs_at_work",
        "link_id",
        unique=True,
        sqlite_where=text("state = 'running'"),
        postgresql_where=text("state = 'running'"),
    ),
    Index("ix_runs_state", "state", "id"),
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

# Who did what to which record. Append-only; each row's hash covers the one before it.
audit = Table(
    "audit",
    metadata,
    Column("id", Id, primary_key=True),
    Column("link_id", Id),
    Column("at", Utc, nullable=False),
    Column("actor", String(100), nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("detail", Json, nullable=False),
    Column("digest", String(64)),  # of the new mirror row, where the action made one
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("ix_audit_subject", "subject", "id"),
)

users = Table(
    "users",
    metadata,
    Column("id", Id, primary_key=True),
    Column("email", String(255), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("role", String(16), nullable=False),  # viewer | reviewer | accountant | manager | admin
)

# One-time sign-in links and the browser sessions they open; only hashes are kept.
sign_ins = Table(
    "sign_ins",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("kind", String(16), nullable=False),  # link | session
    Column("expires_at", Utc, nullable=False),
    Column("used_at", Utc),
)
