"""The matcher: which document in the books belongs to which movement, decided only where nothing else is as good.

`match` is pure and takes canonical frames (see `reconcile.frames`); equal rows in any order give equal results. The
tiers, strongest first:

- recorded: a document in the books names the Stripe id, so the movement is already recorded;
- linked: Stripe says which invoices the charge paid;
- reference: the charge names one open invoice whose balance equals it;
- reference_difference, reference_sum, amount: proposed to a person, never taken;
- may_be_recorded: a document typed in by hand looks like the movement. It turns every other answer into a proposal,
  so that nothing is recorded twice.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import polars as pl

from reconcile import blocking, score
from reconcile.digest import block_digests
from reconcile.discrepancy import INFORMATIVE, Code, Discrepancy, listed, money, name
from reconcile.frames import LEDGER_SCHEMA, PROCESSOR_SCHEMA, canonical
from reconcile.result import (
    ALLOCATIONS_SCHEMA,
    DISCREPANCIES_SCHEMA,
    MATCHES_SCHEMA,
    Allocation,
    MatchResult,
    Proposal,
    Role,
    Verdict,
)
from reconcile.rules import Rules

__all__ = ["Allocation", "MatchResult", "Proposal", "Verdict", "match"]

# What single tiers learn of a pair, beyond what every comparison tells.
LEARNT = pl.DataFrame(
    schema={
        "key": pl.String(),
        "source": pl.String(),
        "name": pl.String(),
        "identity_level": pl.String(),
        "identity_weight": pl.Int64(),
        "reference_level": pl.String(),
        "reference_weight": pl.Int64(),
    }
)


def match(
    processor: pl.DataFrame | pl.LazyFrame,
    ledger: pl.DataFrame | pl.LazyFrame,
    rules: Rules | None = None,
    decisions: object = None,  # noqa: ARG001  people's decisions, not read yet
    model: object = None,  # noqa: ARG001  a frozen model of probabilities, not read yet
) -> MatchResult:
    """Matches PROCESSOR_SCHEMA against LEDGER_SCHEMA. Ids must be unique in each frame.

    Raises FrameError for frames that lack a required column or name an id twice.
    """
    rules = rules or Rules()
    sides = _Sides.of(
        canonical(processor, PROCESSOR_SCHEMA, "processor"), canonical(ledger, LEDGER_SCHEMA, "ledger"), rules
    )
    found = _Found()
    _match_recorded(sides, found)
    _match_invoices(sides, found)
    _match_typed(sides, found)
    _list_unmatched(sides, found)
    return _result(sides, found)


# ---- what the tiers work with


@dataclass(slots=True)
class _Sides:
    """Both sides, and what the tiers learn about them."""

    processor: pl.DataFrame
    ledger: pl.DataFrame
    rules: Rules
    items: dict[str, dict[str, Any]]
    documents: dict[str, dict[str, Any]]
    known: pl.DataFrame  # processor_id, customer_key: the customer in the books, from ids and links
    links: pl.DataFrame
    references: pl.DataFrame

    @classmethod
    def of(cls, processor: pl.DataFrame, ledger: pl.DataFrame, rules: Rules) -> "_Sides":
        charges = processor.filter(pl.col("kind") == "charge")
        invoices = ledger.filter(pl.col("kind") == "invoice")
        links = blocking.by_link(charges, invoices)
        return cls(
            processor=processor,
            ledger=ledger,
            rules=rules,
            items={row["id"]: row for row in processor.iter_rows(named=True)},
            documents={row["id"]: row for row in ledger.iter_rows(named=True)},
            known=pl.DataFrame(schema={"processor_id": pl.String, "customer_key": pl.String}),
            links=links,
            references=blocking.by_reference(charges, invoices).join(links, on="processor_id", how="anti"),
        )

    def of_kind(self, kind: str) -> pl.DataFrame:
        return self.processor.filter(pl.col("kind") == kind)

    def compare(self, pairs: pl.DataFrame, known: pl.DataFrame | None = None) -> pl.DataFrame:
        known = self.known if known is None else known
        return score.compare(pairs, self.processor, self.ledger, known, self.rules)

    def item_name(self, processor_id: str) -> str:
        item = self.items[processor_id]
        return name(item["kind"], None, processor_id)

    def document_name(self, ledger_id: str) -> str:
        document = self.documents[ledger_id]
        return name(document["kind"], document["doc_number"], ledger_id.rpartition(":")[2])


@dataclass(slots=True)
class _Answer:
    """A possible match of one item: `pairs` are (ledger id, amount in minor units)."""

    processor_id: str
    tier: str
    role: Role
    pairs: list[tuple[str, int]]
    reason: str
    accepted: bool
    weight: int = 0


@dataclass(slots=True)
class _Found:
    """What the tiers have found so far."""

    answers: list[_Answer] = field(default_factory=list)
    discrepancies: list[Discrepancy] = field(default_factory=list)
    evidence: list[pl.DataFrame] = field(default_factory=list)
    recorded: set[str] = field(default_factory=set)  # items a document names
    claimed: set[str] = field(default_factory=set)  # documents that name an item
    used: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # of invoices, by accepted answers
    users: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    held: set[str] = field(default_factory=set)  # invoices somebody has to decide about

    def differs(self, processor_id: str | None, ledger_id: str | None, code: Code, text: str) -> None:
        self.discrepancies.append(Discrepancy(processor_id=processor_id, ledger_id=ledger_id, code=code, text=text))

    def accept(self, answer: _Answer) -> None:
        self.answers.append(answer)
        for ledger_id, amount in answer.pairs:
            self.used[ledger_id] += amount
            self.users[ledger_id].append(answer.processor_id)


# ---- tier 1: documents that name the movement


def _match_recorded(sides: _Sides, found: _Found) -> None:
    pairs = blocking.by_identity(sides.processor, sides.ledger)
    sides.known = _known_customers(sides, pairs)
    compared = sides.compare(pairs).with_columns(identity_level=pl.lit("equal"), identity_weight=score.IDENTITY)
    found.evidence.append(compared)
    shared = _shared_documents(compared)
    for processor_id, rows in _grouped(compared):
        found.recorded.add(processor_id)
        found.claimed.update(row["ledger_id"] for row in rows)
        _judge_recorded(sides, found, processor_id, rows, shared)


def _shared_documents(compared: pl.DataFrame) -> dict[str, int]:
    """Documents that name several items, and what those items come to together, in minor units."""
    several = compared.group_by("ledger_id").agg(pl.len().alias("items"), pl.col("compared_minor").sum())
    return dict(several.filter(pl.col("items") > 1).select("ledger_id", "compared_minor").iter_rows())


def _judge_recorded(
    sides: _Sides, found: _Found, processor_id: str, rows: list[dict[str, Any]], shared: Mapping[str, int]
) -> None:
    item, amount = sides.items[processor_id], rows[0]["compared_minor"]
    names = listed([sides.document_name(row["ledger_id"]) for row in rows])
    noun = item["kind"]
    parts = [
        (row["ledger_id"], amount if row["ledger_id"] in shared else min(row["target_minor"], amount)) for row in rows
    ]
    total = sum(shared.get(row["ledger_id"], row["target_minor"]) for row in rows)
    expected = sum(shared.get(row["ledger_id"], 0) for row in rows) or amount
    booked = sum(row["target_minor"] for row in rows)
    ours = all(row["marked"] for row in rows)
    agrees = True
    if not all(row["comparable"] for row in rows):
        text = f"{names} names {processor_id} but is not in {item['currency']}, the currency of this {noun}."
        found.differs(processor_id, rows[0]["ledger_id"], Code.CURRENCY_DIFF, text)
        agrees = False
    elif len(rows) > 1 and all(row["is_equal"] for row in rows):
        text = f"{names} each record the whole {noun} {processor_id}: it is in the books more than once."
        found.differs(processor_id, rows[1]["ledger_id"], Code.RECORDED_TWICE, text)
        agrees, parts = False, parts[:1]
    elif booked != expected or total != expected:
        text = (
            f"{names} names {processor_id} but comes to {money(booked, rows[0]['doc_currency'])}, "
            f"not {money(expected, rows[0]['doc_currency'])}."
        )
        found.differs(processor_id, rows[0]["ledger_id"], Code.AMOUNT_DIFF, text)
        agrees = False
    reason = f"{names} carries the id of this {noun} ({rows[0]['name']}): it is already in the books."
    answer = _Answer(processor_id, "recorded", "already_recorded", parts, reason, agrees or ours, score.IDENTITY)
    found.answers.append(answer)


def _known_customers(sides: _Sides, identity: pl.DataFrame) -> pl.DataFrame:
    """Whose an item is, where ids say so: through its document, its invoices, or its Stripe customer's other charges.

    A Stripe customer counts only if all that is known of it leads to one customer in the books.
    """
    named = pl.concat([identity.select("processor_id", "ledger_id"), sides.links.select("processor_id", "ledger_id")])
    customers = sides.ledger.select(ledger_id="id", customer_key="customer_id").drop_nulls()
    direct = named.join(customers, on="ledger_id").select("processor_id", "customer_key").unique()
    people = sides.processor.select("company", "customer_id", processor_id="id").drop_nulls("customer_id")
    aliases = (
        direct.join(people, on="processor_id")
        .group_by("company", "customer_id")
        .agg(pl.col("customer_key").unique())
        .filter(pl.col("customer_key").list.len() == 1)
        .with_columns(pl.col("customer_key").list.first())
    )
    via_alias = people.join(aliases, on=["company", "customer_id"]).select("processor_id", "customer_key")
    return pl.concat([direct, via_alias]).unique().sort("processor_id", "customer_key")


# ---- tiers 2 to 4: invoices


def _match_invoices(sides: _Sides, found: _Found) -> None:
    compared = sides.compare(_unrecorded(sides.links, found))
    found.evidence.append(compared.with_columns(identity_level=pl.lit("linked"), identity_weight=score.LINK))
    _match_linked(sides, found, compared)
    named = sides.compare(_unrecorded(sides.references, found)).with_columns(
        reference_level=pl.lit("equal"), reference_weight=score.REFERENCE
    )
    found.evidence.append(named)
    _match_named(sides, found, named)
    _match_by_amount(sides, found)


def _unrecorded(pairs: pl.DataFrame, found: _Found) -> pl.DataFrame:
    return pairs.filter(~pl.col("processor_id").is_in(sorted(found.recorded)))


def _match_linked(sides: _Sides, found: _Found, compared: pl.DataFrame) -> None:
    """Explicit links, as long as what they ask of an invoice together is open."""
    wants = {processor_id: _wanted(rows) for processor_id, rows in _grouped(compared)}
    asked: dict[str, dict[str, int]] = defaultdict(dict)
    for processor_id, parts in wants.items():
        for ledger_id, amount in parts.items():
            asked[ledger_id][processor_id] = amount
    for processor_id, rows in _grouped(compared):
        problems = _link_problems(sides, processor_id, rows, asked)
        open_pairs = [
            (row["ledger_id"], min(wants[processor_id][row["ledger_id"]], row["open_minor"]))
            for row in rows
            if row["open_minor"] > 0 and row["comparable"] and row["doc_currency"] == row["item_currency"]
        ]
        found.discrepancies += problems
        names = listed([sides.document_name(ledger_id) for ledger_id, _ in open_pairs])
        reason = f"Stripe says this charge paid {names}."
        blocking_codes = {problem.code for problem in problems} - INFORMATIVE - {Code.OVERPAID}
        accepted = not blocking_codes and len(open_pairs) == len(rows)
        if not open_pairs:
            continue
        answer = _Answer(processor_id, "linked", "pays_invoice", open_pairs, reason, accepted, score.LINK)
        if accepted:
            found.accept(answer)
        else:
            found.answers.append(answer)
            found.held.update(ledger_id for ledger_id, _ in open_pairs)


def _wanted(rows: list[dict[str, Any]]) -> dict[str, int]:
    """How much of a charge goes to each linked invoice: what Stripe says, else what is left, oldest id first."""
    wanted = {row["ledger_id"]: row["linked_minor"] for row in rows if row["linked_minor"] is not None}
    left = rows[0]["item_minor"] - sum(wanted.values())
    silent = [row for row in rows if row["linked_minor"] is None]
    for row in silent[:-1]:
        wanted[row["ledger_id"]] = max(0, min(left, row["open_minor"]))
        left -= wanted[row["ledger_id"]]
    return wanted | {row["ledger_id"]: max(0, left) for row in silent[-1:]}


def _link_problems(
    sides: _Sides, processor_id: str, rows: list[dict[str, Any]], asked: Mapping[str, Mapping[str, int]]
) -> list[Discrepancy]:
    item = sides.items[processor_id]
    fixed = sum(row["linked_minor"] or 0 for row in rows)
    problems = []
    if fixed > item["amount_minor"]:
        text = f"Stripe says this charge paid {money(fixed, item['currency'])}, more than the charge itself."
        problems.append(_problem(processor_id, rows[0]["ledger_id"], Code.AMOUNT_DIFF, text))
    silent = [row for row in rows if row["linked_minor"] is None]
    if len(silent) > 1 and sum(row["open_minor"] for row in silent) != item["amount_minor"] - fixed:
        text = f"{sides.item_name(processor_id)} is linked to several invoices without saying how much paid each."
        problems.append(_problem(processor_id, silent[0]["ledger_id"], Code.SPLIT_AMBIGUOUS, text))
    for row in rows:
        problems += _open_problem(sides, row, asked[row["ledger_id"]])
    return problems


def _open_problem(sides: _Sides, row: dict[str, Any], asked: Mapping[str, int]) -> list[Discrepancy]:
    """What is wrong between one charge and one invoice it is linked to."""
    invoice, is_open = sides.document_name(row["ledger_id"]), row["open_minor"]
    pair = (row["processor_id"], row["ledger_id"])
    currency, want = row["doc_currency"], asked[row["processor_id"]]
    if currency != row["item_currency"]:
        text = f"The charge is in {row['item_currency']}, {invoice} in {currency}."
        return [_problem(*pair, Code.CURRENCY_DIFF, text)]
    if is_open <= 0:
        return [_problem(*pair, Code.OVERPAID, f"{invoice}, which this charge paid, has nothing open in the books.")]
    if len(asked) > 1 and sum(asked.values()) > is_open:
        others = [sides.item_name(each) for each in sorted(asked) if each != row["processor_id"]]
        text = f"{listed(others)} also paid {invoice}; together they exceed the {money(is_open, currency)} open on it."
        is_twin = any(amount == want for each, amount in asked.items() if each != row["processor_id"])
        code = Code.DUPLICATE_CHARGE if is_twin else Code.AMOUNT_DIFF
        return [_problem(*pair, code, text)]
    if want > is_open:
        over = money(want - is_open, currency)
        return [_problem(*pair, Code.OVERPAID, f"The charge is {over} more than what is open on {invoice}.")]
    if want < is_open and sum(asked.values()) < is_open:
        left = money(is_open - sum(asked.values()), currency)
        return [_problem(*pair, Code.PARTIAL, f"The charge pays part of {invoice}; {left} stays open.")]
    return []


def _problem(processor_id: str, ledger_id: str, code: Code, text: str) -> Discrepancy:
    return Discrepancy(processor_id=processor_id, ledger_id=ledger_id, code=code, text=text)


def _match_named(sides: _Sides, found: _Found, named: pl.DataFrame) -> None:
    """References: taken if exactly one charge and one open invoice agree on number, amount and currency."""
    groups = [(processor_id, rows, _open_rows(rows, found)) for processor_id, rows in _grouped(named)]
    equal: dict[str, list[str]] = defaultdict(list)
    for processor_id, _, is_open in groups:
        for row in is_open:
            if row["left_minor"] == row["item_minor"]:
                equal[row["ledger_id"]].append(processor_id)
    rest = []
    for processor_id, rows, is_open in groups:
        same = [row for row in is_open if row["left_minor"] == row["item_minor"]]
        if len(is_open) == 1 and same:
            _judge_equal(sides, found, same[0], equal[same[0]["ledger_id"]])
        elif same:
            _propose_same_number(sides, found, processor_id, same)
        else:
            rest.append((processor_id, rows))
    for processor_id, rows in rest:
        _judge_difference(sides, found, processor_id, rows)


def _open_rows(rows: list[dict[str, Any]], found: _Found) -> list[dict[str, Any]]:
    """The pairs whose invoice has something left in the charge's currency (`left_minor`, minor units)."""
    left = [{**row, "left_minor": row["open_minor"] - found.used[row["ledger_id"]]} for row in rows]
    return [row for row in left if row["left_minor"] > 0 and row["doc_currency"] == row["item_currency"]]


def _judge_equal(sides: _Sides, found: _Found, row: dict[str, Any], rivals: list[str]) -> None:
    processor_id, ledger_id = row["processor_id"], row["ledger_id"]
    invoice = sides.document_name(ledger_id)
    reason = f"{invoice} is named in the {row['source']} and its open balance equals the charge."
    answer = _Answer(
        processor_id, "reference", "pays_invoice", [(ledger_id, row["item_minor"])], reason, True, score.REFERENCE
    )
    others = [sides.item_name(each) for each in rivals if each != processor_id]
    if others:
        text = f"{listed(others)} names {invoice} too and has the same amount; only one of them can have paid it."
        found.differs(processor_id, ledger_id, Code.DUPLICATE_CHARGE, text)
    elif _contradicts(row):
        text = f"{invoice} belongs to {row['doc_name']}, but the charge was paid by {row['item_name']}."
        found.differs(processor_id, ledger_id, Code.WRONG_REFERENCE, text)
    elif ledger_id in found.held:
        text = f"Other charges are linked to {invoice}; decide about them first."
        found.differs(processor_id, ledger_id, Code.SPLIT_AMBIGUOUS, text)
    else:
        found.accept(answer)
        return
    answer.accepted = False
    found.answers.append(answer)


def _contradicts(row: dict[str, Any]) -> bool:
    """Both the names and the e-mail addresses are known and neither agrees."""
    return bool(row["customer"] == "differs" and row["email_level"] == "differs")


def _propose_same_number(sides: _Sides, found: _Found, processor_id: str, same: list[dict[str, Any]]) -> None:
    """Several invoices could be meant: a person chooses."""
    for row in same:
        invoice = sides.document_name(row["ledger_id"])
        reason = f"{invoice} is named in the {row['source']} and its open balance equals the charge."
        pairs = [(row["ledger_id"], row["item_minor"])]
        found.answers.append(_Answer(processor_id, "reference", "pays_invoice", pairs, reason, False, _points(row)))
        found.held.add(row["ledger_id"])
    names = [sides.document_name(row["ledger_id"]) for row in same]
    if len(names) > 1:
        text = f"{listed(names)} fit this charge equally well by number and amount."
        found.differs(processor_id, same[0]["ledger_id"], Code.DUPLICATE_INVOICE, text)


def _judge_difference(sides: _Sides, found: _Found, processor_id: str, rows: list[dict[str, Any]]) -> None:
    """The charge names invoices, but the amounts differ: proposed if the customer agrees or the invoices add up."""
    is_open, item = _open_rows(rows, found), sides.items[processor_id]
    if not is_open:
        _explain_closed(sides, found, rows)
    elif len(is_open) > 1:
        names = listed([sides.document_name(row["ledger_id"]) for row in is_open])
        if sum(row["left_minor"] for row in is_open) == item["amount_minor"]:
            pairs = [(row["ledger_id"], row["left_minor"]) for row in is_open]
            reason = f"{names} are named in the {is_open[0]['source']} and together equal the charge."
            found.answers.append(_Answer(processor_id, "reference_sum", "pays_invoice", pairs, reason, False, 3_500))
        else:
            found.differs(
                processor_id,
                is_open[0]["ledger_id"],
                Code.SPLIT_AMBIGUOUS,
                f"The charge names {names}, but their open balances do not add up to it.",
            )
    elif is_open[0]["customer"] in score.AGREES:
        _propose_difference(sides, found, is_open[0])
    else:
        row = is_open[0]
        invoice, left = sides.document_name(row["ledger_id"]), money(row["left_minor"], row["doc_currency"])
        text = f"The charge names {invoice}, but {left} is open on it and the customer is not certainly the same."
        found.differs(processor_id, row["ledger_id"], Code.WRONG_REFERENCE, text)


def _propose_difference(sides: _Sides, found: _Found, row: dict[str, Any]) -> None:
    processor_id, ledger_id, left = row["processor_id"], row["ledger_id"], row["left_minor"]
    invoice, gap = sides.document_name(ledger_id), money(row["item_minor"] - left, row["doc_currency"])
    reason = f"{invoice} is named in the {row['source']} and the customer agrees, but the amounts differ by {gap}."
    pairs = [(ledger_id, min(left, row["item_minor"]))]
    answer = _Answer(processor_id, "reference_difference", "pays_invoice", pairs, reason, False, _points(row))
    found.answers.append(answer)
    found.held.add(ledger_id)
    if row["item_minor"] < left:
        found.differs(
            processor_id, ledger_id, Code.PARTIAL, f"The charge is {gap} less than what is open on {invoice}."
        )
    else:
        found.differs(
            processor_id, ledger_id, Code.OVERPAID, f"The charge is {gap} more than what is open on {invoice}."
        )


def _explain_closed(sides: _Sides, found: _Found, rows: list[dict[str, Any]]) -> None:
    """Why the invoice a charge names cannot take it: another currency, paid, or taken by another charge."""
    row = rows[0]
    invoice, users = sides.document_name(row["ledger_id"]), found.users.get(row["ledger_id"], [])
    if row["doc_currency"] != row["item_currency"]:
        code, text = Code.CURRENCY_DIFF, f"The charge is in {row['item_currency']}, {invoice} in {row['doc_currency']}."
    elif users:
        payers = listed([sides.item_name(each) for each in users])
        text = f"{invoice}, which this charge names, is already paid by {payers}."
        twin = any(sides.items[each]["amount_minor"] == row["item_minor"] for each in users)
        code = Code.DUPLICATE_CHARGE if twin else Code.OVERPAID
    else:
        code, text = Code.OVERPAID, f"{invoice}, which this charge names, is already paid in the books."
    found.differs(row["processor_id"], row["ledger_id"], code, text)


def _match_by_amount(sides: _Sides, found: _Found) -> None:
    """Customer, amount and date: candidates for a person, closest first."""
    answered = {answer.processor_id for answer in found.answers} | set(sides.links["processor_id"])
    charges = sides.of_kind("charge").filter(~pl.col("id").is_in(sorted(answered | found.recorded)))
    used = pl.DataFrame(
        {"id": list(found.used), "used_minor": list(found.used.values())},
        schema={"id": pl.String, "used_minor": pl.Int64},
    )
    invoices = (
        sides.ledger.filter(pl.col("kind") == "invoice")
        .join(used, on="id", how="left")
        .with_columns(left_minor=pl.col("open_minor").fill_null(0) - pl.col("used_minor").fill_null(0))
        .filter(pl.col("left_minor") > 0)
    )
    compared = sides.compare(blocking.by_open_amount(charges, invoices, sides.known, sides.rules)).filter(
        pl.col("customer").is_in(score.AGREES)
    )
    found.evidence.append(compared)
    for processor_id, rows in _grouped(compared):
        for row in rows:
            invoice = sides.document_name(row["ledger_id"])
            reason = f"{invoice} has the same customer and its open balance equals the charge ({row['date_level']})."
            pairs = [(row["ledger_id"], row["item_minor"])]
            found.answers.append(_Answer(processor_id, "amount", "pays_invoice", pairs, reason, False, _points(row)))


# ---- documents typed in by hand


def _match_typed(sides: _Sides, found: _Found) -> None:
    """What may be recorded already is never taken for anything else."""
    typed = sides.ledger.filter(~pl.col("id").is_in(sorted(found.claimed)))
    items = sides.processor.filter(~pl.col("id").is_in(sorted(found.recorded)))
    charges = items.filter(pl.col("kind") == "charge")
    named = pl.concat(
        [sides.links.select("processor_id", "ledger_id"), sides.references.select("processor_id", "ledger_id")]
    )
    known = _with_named_customers(sides, named)
    own_payments = blocking.by_paid_invoice(named, charges, sides.ledger).filter(
        ~pl.col("ledger_id").is_in(sorted(found.claimed))
    )
    near = blocking.by_typed_amount(items, typed, sides.rules)
    compared = sides.compare(near, known).filter(pl.col("customer") != "differs")
    compared = (
        pl.concat([compared, sides.compare(own_payments, known)])
        .unique(["processor_id", "ledger_id"], keep="first")
        .sort("processor_id", "ledger_id")
    )
    found.evidence.append(compared)
    for processor_id, rows in _grouped(compared):
        _judge_typed(sides, found, processor_id, rows)


def _with_named_customers(sides: _Sides, named: pl.DataFrame) -> pl.DataFrame:
    """`known`, and the customers of the invoices a charge names."""
    customers = sides.ledger.select(ledger_id="id", customer_key="customer_id").drop_nulls()
    more = named.join(customers, on="ledger_id").select("processor_id", "customer_key")
    return pl.concat([sides.known, more]).unique().sort("processor_id", "customer_key")


def _judge_typed(sides: _Sides, found: _Found, processor_id: str, rows: list[dict[str, Any]]) -> None:
    noun = sides.items[processor_id]["kind"]
    for answer in found.answers:
        if answer.processor_id == processor_id:
            answer.accepted = False
    names = []
    for row in sorted(rows, key=lambda each: (-_points(each), each["ledger_id"])):
        document = sides.document_name(row["ledger_id"])
        amount = "the same amount" if row["is_equal"] else "paid the invoice named"
        who = " and customer" if row["customer"] in score.AGREES else ""
        reason = f"{document} of {row['date']}, typed in by hand, has {amount}{who}."
        pairs = [(row["ledger_id"], min(row["compared_minor"], row["target_minor"]))]
        found.answers.append(
            _Answer(processor_id, "may_be_recorded", "already_recorded", pairs, reason, False, _points(row))
        )
        names.append(document)
    text = f"This {noun} may already be in the books as {listed(names)}. Confirm it, or say that it is another one."
    found.differs(processor_id, rows[0]["ledger_id"], Code.MAY_BE_RECORDED, text)


# ---- what is left


def _list_unmatched(sides: _Sides, found: _Found) -> None:
    spoken = {answer.processor_id for answer in found.answers} | {each.processor_id for each in found.discrepancies}
    for processor_id in sides.of_kind("charge")["id"]:
        if processor_id not in spoken:
            text = "No invoice in the books is named by this charge, and none fits its customer and amount."
            found.differs(processor_id, None, Code.UNMATCHED_STRIPE, text)
    names = set(blocking.names_of_processor(sides.processor)["name"]) | set(sides.items)
    carried = blocking.names_in_ledger(sides.ledger.filter(pl.col("marker").is_not_null()))
    for (ledger_id,), group in carried.sort("ledger_id", "name").group_by(["ledger_id"], maintain_order=True):
        if not names.intersection(group["name"]):
            missing = listed(group["name"].to_list())
            text = f"{sides.document_name(ledger_id)} carries our mark, but Stripe has no {missing}."
            found.differs(None, ledger_id, Code.UNMATCHED_QBO, text)


# ---- putting it together


def _grouped(compared: pl.DataFrame) -> list[tuple[str, list[dict[str, Any]]]]:
    """Rows by item, in the order of ids."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in compared.sort("processor_id", "ledger_id").iter_rows(named=True):
        groups[row["processor_id"]].append(row)
    return list(groups.items())


def _points(row: dict[str, Any]) -> int:
    weights = ("identity_weight", "reference_weight", "amount_weight", "customer_weight", "date_weight")
    return sum(row.get(weight) or 0 for weight in weights)


def _match_id(answer: _Answer) -> str:
    ids = ",".join(sorted(ledger_id for ledger_id, _ in answer.pairs))
    return str(uuid5(NAMESPACE_URL, f"tieout:{answer.role}|{answer.processor_id}|{ids}"))


def _result(sides: _Sides, found: _Found) -> MatchResult:
    answers = _ranked(found.answers)
    order = (pl.col("processor_ids").list.first(), "rank", "match_id")
    matches = pl.DataFrame(
        [_match_row(sides, answer, rank) for answer, rank in answers], schema=MATCHES_SCHEMA, orient="row"
    ).sort(order)
    allocations = pl.DataFrame(
        [
            (_match_id(answer), answer.processor_id, ledger_id, amount, answer.role)
            for answer, _ in answers
            for ledger_id, amount in answer.pairs
        ],
        schema=ALLOCATIONS_SCHEMA,
        orient="row",
    ).sort("processor_id", "match_id", "ledger_id")
    discrepancies = sorted(
        set(found.discrepancies), key=lambda each: (each.processor_id or "", each.ledger_id or "", each.code, each.text)
    )
    return MatchResult(
        matches=matches,
        allocations=allocations,
        discrepancies=pl.DataFrame(
            [(each.processor_id, each.ledger_id, each.code.value, each.text) for each in discrepancies],
            schema=DISCREPANCIES_SCHEMA,
            orient="row",
        ),
        evidence=_evidence(found, allocations),
        rule_version=sides.rules.version,
        model_version=None,
        block_digests=block_digests(sides.processor, sides.ledger),
        verdicts=_verdicts(sides, answers, discrepancies),
    )


def _ranked(answers: list[_Answer]) -> list[tuple[_Answer, int]]:
    """Answers with their ranks within an item: what may be recorded first, then by points; equal points tie."""
    by_item: dict[str, list[_Answer]] = defaultdict(list)
    for answer in answers:
        by_item[answer.processor_id].append(answer)
    ranked = []
    for _, group in sorted(by_item.items()):
        keys = sorted({_order(answer) for answer in group})
        ranked += [
            (answer, keys.index(_order(answer)) + 1) for answer in sorted(group, key=lambda a: (_order(a), a.pairs))
        ]
    return ranked


def _order(answer: _Answer) -> tuple[bool, int]:
    return answer.role != "already_recorded", -answer.weight


def _match_row(sides: _Sides, answer: _Answer, rank: int) -> dict[str, Any]:
    return {
        "match_id": _match_id(answer),
        "processor_ids": [answer.processor_id],
        "ledger_ids": sorted(ledger_id for ledger_id, _ in answer.pairs),
        "currency": sides.documents[answer.pairs[0][0]]["currency"],
        "amount_minor": sum(amount for _, amount in answer.pairs),
        "tier": answer.tier,
        "role": answer.role,
        "decision": "auto" if answer.accepted else "proposed",
        "rank": rank,
        "probability": None,
        "reasons": [answer.reason],
    }


def _evidence(found: _Found, allocations: pl.DataFrame) -> pl.DataFrame:
    """The compared fields of every pair that became part of an answer."""
    compared = pl.concat([LEARNT, *found.evidence], how="diagonal_relaxed")
    compared = compared.with_columns(
        named_in=pl.when(pl.col("source") == "reference").then("reference").otherwise("description"),
        competitors=pl.len().over("processor_id").cast(pl.Int64) - 1,
    ).unique(["processor_id", "ledger_id"], keep="first", maintain_order=True)
    pairs = allocations.select("match_id", "processor_id", "ledger_id")
    return score.evidence(compared.join(pairs, on=["processor_id", "ledger_id"]))


def _verdicts(
    sides: _Sides, answers: list[tuple[_Answer, int]], discrepancies: list[Discrepancy]
) -> dict[str, Verdict]:
    by_item: dict[str, list[tuple[_Answer, int]]] = defaultdict(list)
    for answer, rank in answers:
        by_item[answer.processor_id].append((answer, rank))
    problems: dict[str, list[Discrepancy]] = defaultdict(list)
    for each in discrepancies:
        if each.processor_id:
            problems[each.processor_id].append(each)
    customers = _certain_customers(sides)
    return {
        processor_id: _verdict(processor_id, by_item[processor_id], problems[processor_id], customers.get(processor_id))
        for processor_id in sides.items
    }


def _verdict(
    processor_id: str, answers: list[tuple[_Answer, int]], problems: list[Discrepancy], customer_id: str | None
) -> Verdict:
    taken = next((answer for answer, _ in answers if answer.accepted), None)
    urgent = sorted(problems, key=lambda each: (each.code != Code.MAY_BE_RECORDED, each.code in INFORMATIVE))
    best = taken or (answers[0][0] if answers else None)
    texts = [each.text for each in urgent]
    if taken:
        texts.insert(0, taken.reason)
    elif not texts:
        texts = [answer.reason for answer, rank in answers if rank == 1]
    return Verdict(
        processor_id=processor_id,
        decision="auto" if taken else "proposed" if answers else "none",
        role=best.role if best else "",
        tier=best.tier if best else "",
        match_id=_match_id(best) if best else "",
        allocations=_allocations(taken) if taken else (),
        proposals=tuple(
            Proposal(
                match_id=_match_id(answer),
                tier=answer.tier,
                role=answer.role,
                rank=rank,
                allocations=_allocations(answer),
                reasons=(answer.reason,),
            )
            for answer, rank in answers
        ),
        discrepancies=tuple(urgent),
        code=urgent[0].code.value if urgent else "",
        text=" ".join(texts),
        customer_id=customer_id,
    )


def _allocations(answer: _Answer) -> tuple[Allocation, ...]:
    return tuple(Allocation(ledger_id=ledger_id, amount_minor=amount) for ledger_id, amount in answer.pairs)


def _certain_customers(sides: _Sides) -> dict[str, str]:
    """The one customer in the books an item belongs to: by ids and links, else by an e-mail only one customer has."""
    email = score.email_key(pl.col("customer_email"))
    people = sides.ledger.select("company", "customer_id", email=email).drop_nulls().unique()
    by_email = (
        sides.processor.select("company", processor_id="id", email=email)
        .drop_nulls("email")
        .join(people, on=["company", "email"])
        .select("processor_id", customer_key="customer_id")
    )
    rest = by_email.join(sides.known, on="processor_id", how="anti")
    one = (
        pl.concat([sides.known, rest])
        .unique()
        .group_by("processor_id")
        .agg(pl.col("customer_key").unique())
        .filter(pl.col("customer_key").list.len() == 1)
    )
    return dict(one.select("processor_id", pl.col("customer_key").list.first()).iter_rows())
