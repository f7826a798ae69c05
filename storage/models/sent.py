"""From the books to Stripe: which customer is which, each invoice, each write."""

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
    Column("problem", Text),  # why it could not be made in the books; of a link: how the two differ
    Column("told", Json),  # by field, what stood in the books and at Stripe when they were last compared
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
    Index("ix_sendings_subject", "link_id", "subject"),
    Index(
        "uq_sendings_unsettled",
        "link_id",
        "subject",
        unique=True,
        sqlite_where=text("state IN ('sending', 'doubtful', 'waiting')"),
        postgresql_where=text("state IN ('sending', 'doubtful', 'waiting')"),
    ),
)
