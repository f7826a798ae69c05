"""The tables. Everything durable is here; uniqueness lives in the schema, not in code.

Amounts are BigInteger minor units; instants are UTC. `version` columns count a row's changes, so that what a person
saw can be checked when they act on it.
"""

from storage.models.base import metadata
from storage.models.booked import carried, carried_days, decisions, findings, legs, matches, outbox, tallied_days
from storage.models.closed import closes
from storage.models.connected import budgets, connections, consents, errands, leases, links, metered_reads, secrets
from storage.models.kept import alerts, audit, audit_checks, runs, sign_ins, users
from storage.models.mirrored import cursors, imports, inbox, mirror
from storage.models.noted import approvals, notes
from storage.models.sent import customer_links, sendings, sent_invoices

__all__ = [
    "alerts",
    "approvals",
    "audit",
    "audit_checks",
    "budgets",
    "carried",
    "carried_days",
    "closes",
    "connections",
    "consents",
    "cursors",
    "customer_links",
    "decisions",
    "errands",
    "findings",
    "imports",
    "inbox",
    "leases",
    "legs",
    "links",
    "matches",
    "metadata",
    "metered_reads",
    "mirror",
    "notes",
    "outbox",
    "runs",
    "secrets",
    "sendings",
    "sent_invoices",
    "sign_ins",
    "tallied_days",
    "users",
]
