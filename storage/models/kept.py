"""Who works here, what was run, and what was done."""

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint, text

from storage.models.base import Id, metadata
from storage.types import Json, Utc

# Every sync, asked for or due: one row a due time, however many processes tick.
runs = Table(
    "runs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("link_id", ForeignKey("links.id"), nullable=False),
    Column("kind", String(16), nullable=False),  # sync | look (says what a sync again would change) | again
    Column("cause", String(64), nullable=False),  # schedule | the person who asked
    Column("scheduled_for", Utc, nullable=False),
    Column("state", String(16), nullable=False),  # queued | running | done | failed
    Column("step", String(64), nullable=False),
    Column("done", Integer, nullable=False),
    Column("total", Integer),
    Column("counts", Json, nullable=False),
    Column("scope", Json),  # what a look, or a sync again, is about (storage.replay)
    Column("found", Json),  # what came of a look
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
    Index("ix_audit_actor", "actor", "id"),
    Index("ix_audit_action", "action", "id"),
    Index("ix_audit_at", "at"),
)

# How far the chain of the audit log was verified last: the next time goes on from there.
audit_checks = Table(
    "audit_checks",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", Utc, nullable=False),
    Column("actor", String(100), nullable=False),
    Column("entry_id", Id, nullable=False),  # the last entry that was found whole; 0 for none
    Column("entry_hash", String(64), nullable=False),
    Column("problem", Text),  # what is wrong after it
    Column("seal", String(64), nullable=False),  # signature of the entry and its hash, by a key of the vault
)

users = Table(
    "users",
    metadata,
    Column("id", Id, primary_key=True),
    Column("email", String(255), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("role", String(16), nullable=False),  # viewer | reviewer | accountant | manager | admin
    Column("password_hash", String(255)),  # none: signs in by links only
    Column("wrong_tries", Integer),  # passwords in a row that did not fit
    Column("locked_until", Utc),
    Column("left_at", Utc),  # may not sign in any more; what they did stays theirs
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

# What somebody has to be told of; of one need at a time one stands.
alerts = Table(
    "alerts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("subject", String(64), nullable=False),  # "connection 2", "link 1"
    Column("cause", String(32), nullable=False),
    Column("text", Text, nullable=False),
    Column("raised_at", Utc, nullable=False),
    Column("lease_until", Utc),  # somebody is telling of it
    Column("told_at", Utc),
    Column("over_at", Utc),
    Index(
        "uq_alerts_subject",
        "subject",
        "cause",
        unique=True,
        sqlite_where=text("over_at IS NULL"),
        postgresql_where=text("over_at IS NULL"),
    ),
)
