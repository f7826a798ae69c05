"""What people decided binds, as long as it can still be carried out."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from reconcile import score
from reconcile.discrepancy import Code, listed, name
from reconcile.result import Role
from reconcile.tiers.state import Answer, Found, Sides

Part = tuple[str, int | None]


def match_decided(sides: Sides, found: Found) -> None:
    """MUST_LINK decisions, in the order of ids; one that no longer fits becomes a STALE_DECISION and the item waits.

    What our own documents record stays recorded: the decision has been carried out.
    """
    must = sides.constraints.must
    if not must:
        return
    naming = sides.identity.hstack(sides.ids(sides.identity)).filter(pl.col("processor_id").is_in(sorted(must)))
    ours = set(naming.filter("marked")["processor_id"])
    for processor_id, parts in sorted(must.items()):
        if processor_id not in sides.items or processor_id in ours:
            continue
        names = naming.filter(pl.col("processor_id") == processor_id)["ledger_id"]
        answer = _answer(sides, found, processor_id, parts, set(names))
        if isinstance(answer, Answer):
            found.accept(answer, sides.items[processor_id]["amount_minor"])
            found.recorded.add(processor_id)
            if answer.role == "already_recorded":
                found.claimed.update(ledger_id for ledger_id, _ in answer.pairs)
        else:
            found.waiting.add(processor_id)
            found.differs(processor_id, None, Code.STALE_DECISION, answer)


def _answer(sides: Sides, found: Found, processor_id: str, parts: list[Part], naming: set[str]) -> Answer | str:
    """The match a person asked for, or why it cannot be; `naming` are the documents that carry the item's id."""
    item = sides.items[processor_id]
    gone = [ledger_id for ledger_id, _ in parts if not _is_there(sides, ledger_id, item["company"])]
    if gone:
        return f"Somebody decided that this belongs to {listed(gone)}, which is not in the books any more."
    others = sorted(naming - {ledger_id for ledger_id, _ in parts})
    if others:
        named = listed([_name(sides, ledger_id) for ledger_id in others])
        return f"Somebody decided what this belongs to, but now {named} carries its id."
    documents = [sides.documents[ledger_id] for ledger_id, _ in parts]
    names = listed([_name(sides, ledger_id) for ledger_id, _ in parts])
    is_payment = [document["kind"] == "invoice" for document in documents]
    whole = _amount(item, {document["currency"] for document in documents}, settled=not any(is_payment))
    if whole is None:
        return f"Somebody decided that this belongs to {names}, but the currencies differ."
    if any(is_payment) and not (all(is_payment) and item["kind"] == "charge"):
        return f"Somebody decided that this belongs to {names}; a charge pays invoices or is recorded, not both."
    pairs, left = [], whole
    for (ledger_id, asked), document in zip(parts, documents, strict=True):
        there = (document["open_minor"] or 0) if all(is_payment) else abs(document["amount_minor"])
        amount = min(left, there - found.used[ledger_id]) if asked is None else asked
        if amount <= 0 or amount > left or amount > there - found.used[ledger_id]:
            return f"Somebody decided that this belongs to {names}, but the amounts do not allow it any more."
        pairs.append((ledger_id, amount))
        left -= amount
    role: Role = "pays_invoice" if all(is_payment) else "already_recorded"
    reason = f"Somebody decided that this belongs to {names}."
    return Answer(processor_id, "decided", role, pairs, reason, accepted=True, weight=2 * score.IDENTITY)


def _is_there(sides: Sides, ledger_id: str, company: str) -> bool:
    """In the books of the same company: no match crosses two."""
    return ledger_id in sides.documents and sides.documents[ledger_id]["company"] == company


def _name(sides: Sides, ledger_id: str) -> str:
    document = sides.documents[ledger_id]
    return name(document["kind"], document["doc_number"], ledger_id.rpartition(":")[-1])


def _amount(item: Mapping[str, Any], currencies: set[str], *, settled: bool) -> int | None:
    """What is to be matched, in the only currency of the documents: the item's, or what it was settled in if that may
    be. None if it is another.
    """
    if currencies == {item["currency"]}:
        return abs(int(item["amount_minor"]))
    if settled and currencies == {item["settled_currency"]}:
        return abs(int(item["settled_minor"]))
    return None
