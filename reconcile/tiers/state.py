"""What the tiers work with: both sides, the pairs worth a look, and what has been found so far."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from reconcile import blocking, score
from reconcile.decisions import Constraints
from reconcile.discrepancy import Code, Discrepancy, name
from reconcile.model import Model
from reconcile.result import Role
from reconcile.rules import Rules

Row = dict[str, Any]
FIELDS = ("identity", "reference", "amount", "known", "name", "email", "date", "text", "prior")


@dataclass(slots=True)
class Sides:
    """Both sides, and the pairs that ids, links, numbers and amounts suggest; what people ruled out is gone."""

    processor: pl.DataFrame
    ledger: pl.DataFrame
    rules: Rules
    model: Model
    constraints: Constraints
    known: pl.DataFrame  # processor_id, customer_key: the customer in the books, from ids and links
    identity: pl.DataFrame  # documents that name the item
    links: pl.DataFrame  # invoices Stripe says a charge paid
    references: pl.DataFrame  # invoices whose number a charge names
    typed: pl.DataFrame  # documents typed in by hand that may record an item; compared
    items: dict[str, Row] = field(default_factory=dict)
    documents: dict[str, Row] = field(default_factory=dict)

    @classmethod
    def of(
        cls, processor: pl.DataFrame, ledger: pl.DataFrame, rules: Rules, model: Model, constraints: Constraints
    ) -> "Sides":
        """Canonical frames without what takes no part."""
        charges = processor.filter(pl.col("kind") == "charge")
        invoices = ledger.filter(pl.col("kind") == "invoice")
        identity = constraints.allow(blocking.by_identity(processor, ledger))
        links = constraints.allow(blocking.by_link(charges, invoices))
        references = constraints.allow(blocking.by_reference(charges, invoices))
        sides = cls(
            processor=processor,
            ledger=ledger,
            rules=rules,
            model=model,
            constraints=constraints,
            known=known_customers(processor, ledger, identity, links),
            identity=identity,
            links=links,
            references=references.join(links, on="processor_id", how="anti", maintain_order="left"),
            typed=pl.DataFrame(),
        )
        sides.typed = _typed_pairs(sides)
        return sides

    def without(self, item_ids: pl.Series, document_ids: pl.Series) -> "Sides":
        """These sides without what has been decided already."""
        gone = [
            pl.DataFrame({"processor_id": item_ids}, schema={"processor_id": pl.String}),
            pl.DataFrame({"ledger_id": document_ids}, schema={"ledger_id": pl.String}),
        ]
        processor = self.processor.join(gone[0], left_on="id", right_on="processor_id", how="anti")
        ledger = self.ledger.join(gone[1], left_on="id", right_on="ledger_id", how="anti")
        return Sides(
            processor=processor.sort("id"),
            ledger=ledger.sort("id"),
            rules=self.rules,
            model=self.model,
            constraints=self.constraints,
            known=self.known,
            identity=self.identity.join(gone[0], on="processor_id", how="anti"),
            links=self.links,
            references=self.references.join(gone[0], on="processor_id", how="anti"),
            typed=self.typed,
            items=_rows(processor, "id", "kind", "currency", "amount_minor"),
            documents=_rows(ledger, "id", "kind", "currency", "amount_minor", "open_minor", "doc_number"),
        )

    def of_kind(self, kind: str) -> pl.DataFrame:
        return self.processor.filter(pl.col("kind") == kind)

    def compare(self, pairs: pl.DataFrame) -> pl.DataFrame:
        return score.compare(pairs, self.processor, self.ledger, self.known, self.rules, self.model)

    def item_name(self, processor_id: str) -> str:
        item = self.items[processor_id]
        return name(item["kind"], None, processor_id)

    def document_name(self, ledger_id: str) -> str:
        document = self.documents[ledger_id]
        return name(document["kind"], document["doc_number"], ledger_id.rpartition(":")[2])


@dataclass(slots=True)
class Answer:
    """A possible match of one item: `pairs` are (ledger id, amount in minor units), `weight` ranks it."""

    processor_id: str
    tier: str
    role: Role
    pairs: list[tuple[str, int]]
    reason: str
    accepted: bool
    weight: int = 0
    probability_ppm: int | None = None


@dataclass(slots=True)
class Found:
    """What the tiers have found so far."""

    answers: list[Answer] = field(default_factory=list)
    discrepancies: list[Discrepancy] = field(default_factory=list)
    evidence: list[pl.DataFrame] = field(default_factory=list)
    recorded: set[str] = field(default_factory=set)  # items that a document names, or a person has decided
    claimed: set[str] = field(default_factory=set)  # documents that name an item
    used: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # of invoices, by accepted answers
    users: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    held: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # invoices in doubt, by whom
    explained: set[str] = field(default_factory=set)  # items whose excess over an invoice a sum explains
    waiting: set[str] = field(default_factory=set)  # items of which nothing may be accepted

    def differs(self, processor_id: str | None, ledger_id: str | None, code: Code, text: str) -> None:
        self.discrepancies.append(Discrepancy(processor_id=processor_id, ledger_id=ledger_id, code=code, text=text))

    def accept(self, answer: Answer) -> None:
        self.answers.append(answer)
        for ledger_id, amount in answer.pairs:
            self.used[ledger_id] += amount
            self.users[ledger_id].append(answer.processor_id)

    def hold(self, answer: Answer) -> None:
        """A proposal: nobody else may take its invoices before somebody has decided about them."""
        self.answers.append(answer)
        for ledger_id, _ in answer.pairs:
            self.held[ledger_id].add(answer.processor_id)

    def is_held(self, ledger_id: str, but_for: str = "") -> bool:
        return bool(self.held.get(ledger_id, set()) - {but_for})

    def unrecorded(self, pairs: pl.DataFrame) -> pl.DataFrame:
        return pairs.filter(~pl.col("processor_id").is_in(sorted(self.recorded)))


def grouped(compared: pl.DataFrame, side: str = "processor_id") -> list[tuple[str, list[Row]]]:
    """Rows by item (or by document), in the order of ids."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in compared.sort("processor_id", "ledger_id").iter_rows(named=True):
        groups[row[side]].append(row)
    return sorted(groups.items())


def points(row: Row) -> int:
    """The sum of what the fields tell (milli-bits)."""
    return sum(row.get(f"{name}_weight") or 0 for name in FIELDS)


def problem(processor_id: str, ledger_id: str, code: Code, text: str) -> Discrepancy:
    return Discrepancy(processor_id=processor_id, ledger_id=ledger_id, code=code, text=text)


def known_customers(
    processor: pl.DataFrame, ledger: pl.DataFrame, identity: pl.DataFrame, links: pl.DataFrame
) -> pl.DataFrame:
    """Whose an item is, where ids say so: through its document, its invoices, or its Stripe customer's other charges.

    A Stripe customer counts only if all that is known of it leads to one customer in the books.
    """
    named = pl.concat([identity.select("processor_id", "ledger_id"), links.select("processor_id", "ledger_id")])
    direct = _customers_of(named, ledger).unique()
    people = processor.select("company", "customer_id", processor_id="id").drop_nulls("customer_id")
    aliases = (
        direct.join(people, on="processor_id")
        .group_by("company", "customer_id")
        .agg(pl.col("customer_key").unique())
        .filter(pl.col("customer_key").list.len() == 1)
        .with_columns(pl.col("customer_key").list.first())
    )
    via_alias = people.join(aliases, on=["company", "customer_id"]).select("processor_id", "customer_key")
    return pl.concat([direct, via_alias]).unique().sort("processor_id", "customer_key")


def _customers_of(named: pl.DataFrame, ledger: pl.DataFrame) -> pl.DataFrame:
    customers = ledger.select(ledger_id="id", customer_key="customer_id").drop_nulls()
    return named.join(customers, on="ledger_id").select("processor_id", "customer_key")


def _typed_pairs(sides: Sides) -> pl.DataFrame:
    """Items and the documents that may record them, unless ids settle either of them; compared."""
    identity = sides.identity
    named = pl.concat([each.select("processor_id", "ledger_id") for each in (sides.links, sides.references)])
    typed = sides.ledger.join(identity, left_on="id", right_on="ledger_id", how="anti")
    items = sides.processor.join(identity, left_on="id", right_on="processor_id", how="anti")
    own = blocking.by_paid_invoice(named, items.filter(pl.col("kind") == "charge"), sides.ledger)
    own = sides.constraints.allow(own.join(identity, on="ledger_id", how="anti"))
    near = sides.constraints.allow(blocking.by_typed_amount(items, typed, sides.rules))
    # The customers of the invoices a charge names count as its own.
    asked = pl.concat([own, near]).select("processor_id").unique()
    more = _customers_of(named.join(asked, on="processor_id", how="semi"), sides.ledger)
    customers = pl.concat([sides.known, more]).unique().sort("processor_id", "customer_key")
    compared = [
        score.compare(pairs, sides.processor, sides.ledger, customers, sides.rules, sides.model)
        for pairs in (near, own)
    ]
    return (
        pl.concat([compared[0].filter(pl.col("customer") != "differs"), compared[1]])
        .unique(["processor_id", "ledger_id"], keep="first", maintain_order=True)
        .sort("processor_id", "ledger_id")
    )


def _rows(frame: pl.DataFrame, *columns: str) -> dict[str, Row]:
    return {row["id"]: row for row in frame.select(columns).iter_rows(named=True)}
