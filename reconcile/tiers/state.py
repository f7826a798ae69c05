"""What the tiers work with: both sides, the pairs worth a look, and what has been found so far."""

from collections import defaultdict, namedtuple
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any

import polars as pl

from reconcile import blocking, score
from reconcile.decisions import Constraints
from reconcile.discrepancy import NOUNS, Code, Discrepancy
from reconcile.model import Model
from reconcile.result import Role
from reconcile.rules import Rules
from reconcile.tiers.customers import Customers, customers_of

PAIR = ("item", "document")
WHO = ("item", "company", "customer_id", "customer_email")
# What is looked at of the rows that are not plain.
ITEM = (
    *("item", "id", "kind", "company", "currency", "amount_minor", "settled_currency", "settled_minor"),
    *("occurred_at", "customer_id", "customer_name", "customer_email"),
)
DOCUMENT = (
    *("document", "id", "kind", "company", "currency", "amount_minor", "open_minor", "date", "customer_id"),
    *("customer_name", "customer_email", "doc_number", "marker", "external_ids", "applied"),
)
# What blocking looks at.
CHARGE = ("item", "kind", "company", "links", "reference", "description")
INVOICE = ("document", "id", "kind", "company", "external_ids", "doc_number")
Row = Any  # a named tuple of the columns that `grouped` was asked for
FIELDS = ("identity", "reference", "amount", "known", "name", "email", "date", "text", "prior")


class Records(Mapping[str, dict[str, Any]]):
    """Some columns of a frame, looked up by `id`."""

    def __init__(self, frame: pl.DataFrame, *columns: str) -> None:
        self._columns = {name: frame[name].to_list() for name in columns}
        self._at = dict(zip(frame["id"], range(frame.height), strict=True))

    def __getitem__(self, record_id: str) -> dict[str, Any]:
        at = self._at[record_id]
        return {name: values[at] for name, values in self._columns.items()}

    def __iter__(self) -> Iterator[str]:
        return iter(self._at)

    def __len__(self) -> int:
        return len(self._at)


@dataclass
class Sides:
    """Both sides, and the pairs that ids, links, numbers and amounts suggest; what people ruled out is gone.

    `item` and `document` in the frames of pairs are the numbers of the rows in `whole`, so in the order of ids.
    `processor` and `ledger` are the rows still to be decided.
    """

    whole: tuple[pl.DataFrame, pl.DataFrame]
    processor: pl.DataFrame
    ledger: pl.DataFrame
    rules: Rules
    model: Model
    constraints: Constraints
    identity: pl.DataFrame  # documents that name the item
    links: pl.DataFrame  # invoices Stripe says a charge paid
    references: pl.DataFrame  # invoices whose number a charge names
    customers: Customers  # in the books, from ids and links
    typed: pl.DataFrame = field(default_factory=pl.DataFrame)  # documents typed in that may record an item; compared
    names: pl.DataFrame | None = None  # `score.name_keys` of the rows still to be decided

    @classmethod
    def of(
        cls,
        processor: pl.DataFrame,
        ledger: pl.DataFrame,
        rules: Rules,
        model: Model,
        constraints: Constraints,
        aliases: pl.DataFrame | None = None,
    ) -> "Sides":
        """Canonical frames without what takes no part."""
        processor, ledger = processor.with_row_index("item"), ledger.with_row_index("document")
        charges = processor.select(*CHARGE).filter(pl.col("kind") == "charge")
        invoices = ledger.select(*INVOICE).filter(pl.col("kind") == "invoice")
        barred = constraints.numbered(processor, ledger)
        identity = barred.allow(blocking.by_identity(processor, ledger))
        links = barred.allow(blocking.by_link(charges, invoices))
        references = barred.allow(blocking.by_reference(charges, invoices))
        sides = cls(
            whole=(processor, ledger),
            processor=processor,
            ledger=ledger,
            rules=rules,
            model=model,
            constraints=barred,
            identity=identity,
            links=links,
            references=references.join(links, on="item", how="anti"),
            customers=Customers.of(
                processor, ledger, pl.concat([each.select(PAIR) for each in (identity, links)]), aliases
            ),
        )
        sides.typed = _typed_pairs(sides)
        return sides

    def without(self, items: pl.Series, documents: pl.Series) -> "Sides":
        """These sides without what has been decided already."""
        stays = [_but_for(side.height, gone) for side, gone in zip(self.whole, (items, documents), strict=True)]
        left, right = (
            side.select(*columns).filter(mask)
            for side, columns, mask in zip(self.whole, (ITEM, DOCUMENT), stays, strict=True)
        )
        identity, links, references = (
            pairs.filter(stays[0].gather(pairs["item"])) for pairs in (self.identity, self.links, self.references)
        )
        return replace(
            self,
            processor=left,
            ledger=right,
            identity=identity,
            links=links,
            references=references,
            names=score.name_keys(left["customer_name"], right["customer_name"]),
        )

    @cached_property
    def items(self) -> Records:
        """Of the rows still to be decided, as `documents`."""
        columns = ("kind", "company", "currency", "amount_minor", "settled_currency", "settled_minor")
        return Records(self.processor, *columns)

    @cached_property
    def documents(self) -> Records:
        return Records(self.ledger, "kind", "company", "currency", "amount_minor", "open_minor", "doc_number")

    @cached_property
    def known(self) -> pl.DataFrame:
        """`item, customer_key` of the rows still to be decided."""
        return self.customers.of_items(self.processor)

    @cached_property
    def named(self) -> dict[str, pl.DataFrame]:
        """The pairs of `identity`, `links` and `references`, compared at once: each comparison has its price."""
        ways = {"identity": self.identity, "links": self.links, "references": self.references}
        pairs = [each.with_columns(way=pl.lit(way)) for way, each in ways.items()]
        compared = self.compare(pl.concat(pairs, how="diagonal")).partition_by("way", as_dict=True, include_key=False)
        return {way: compared[way,] for way, each in ways.items() if each.height}

    def of_kind(self, kind: str) -> pl.DataFrame:
        return self.processor.filter(pl.col("kind") == kind)

    def compare(self, pairs: pl.DataFrame, known: pl.DataFrame | None = None) -> pl.DataFrame:
        """The pairs with both sides' fields, levels and weights, in the order of ids; see `reconcile.score`."""
        if known is None:
            known = self.customers.of_items(self.whole[0].select(*WHO)[pairs["item"].unique()])
        return score.compare(pairs, *self.whole, known, self.rules, self.model, self.names)

    def ids(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """`processor_id` and `ledger_id` of pairs."""
        return pl.DataFrame(
            {
                "processor_id": self.whole[0]["id"].gather(pairs["item"]),
                "ledger_id": self.whole[1]["id"].gather(pairs["document"]),
            }
        )


def _but_for(height: int, gone: pl.Series) -> pl.Series:
    """A mask of so many rows without some numbers: quicker than any join."""
    return pl.repeat(True, height, eager=True).scatter(gone, False)


def label(kind: str, number: str, ledger_id: str) -> pl.Expr:
    """As `reconcile.discrepancy.name`, for a whole column."""
    nouns = {each: noun.capitalize() for each, noun in NOUNS.items()}
    tail = pl.col(ledger_id).str.split(":").list.last()
    said = pl.when(pl.col(number) != "").then(number).otherwise(tail)
    return pl.format("{} {}", pl.col(kind).replace_strict(nouns, default=pl.col(kind).str.to_titlecase()), said)


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
    frames: list[pl.DataFrame] = field(default_factory=list)  # answers found in whole columns, of other items
    discrepancies: list[Discrepancy] = field(default_factory=list)
    evidence: list[pl.DataFrame] = field(default_factory=list)
    recorded: set[str] = field(default_factory=set)  # items that a document names, or a person has decided
    claimed: set[str] = field(default_factory=set)  # documents that name an item
    used: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # of invoices, by accepted answers
    users: dict[str, list[tuple[str, int]]] = field(default_factory=lambda: defaultdict(list))  # with their amounts
    held: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # invoices in doubt, by whom
    explained: set[str] = field(default_factory=set)  # items whose excess over an invoice a sum explains
    waiting: set[str] = field(default_factory=set)  # items of which nothing may be accepted

    def differs(self, processor_id: str | None, ledger_id: str | None, code: Code, text: str) -> None:
        self.discrepancies.append(Discrepancy(processor_id, ledger_id, code, text))

    def accept(self, answer: Answer, item_minor: int) -> None:
        """`item_minor` is all of the item, in its own currency."""
        self.answers.append(answer)
        for ledger_id, amount in answer.pairs:
            self.used[ledger_id] += amount
            self.users[ledger_id].append((answer.processor_id, item_minor))

    def hold(self, answer: Answer) -> None:
        """A proposal: nobody else may take its invoices before somebody has decided about them."""
        self.answers.append(answer)
        for ledger_id, _ in answer.pairs:
            self.held[ledger_id].add(answer.processor_id)

    def is_held(self, ledger_id: str, but_for: str = "") -> bool:
        holders = self.held.get(ledger_id)
        return holders is not None and bool(holders - {but_for})

    def unrecorded(self, compared: pl.DataFrame) -> pl.DataFrame:
        return compared.filter(~pl.col("processor_id").is_in(series(self.recorded))) if self.recorded else compared

    def answered(self) -> set[str]:
        """The charges of which it is said, or proposed, what they pay."""
        alone = {answer.processor_id for answer in self.answers if answer.role == "pays_invoice"}
        return alone.union(*(frame["processor_id"] for frame in self.frames))


def series(ids: Iterable[str]) -> pl.Series:
    """For `is_in`."""
    return pl.Series(list(ids), dtype=pl.String).implode()


@cache
def _row(columns: tuple[str, ...]) -> Any:
    return namedtuple("Row", columns)


def grouped(compared: pl.DataFrame, columns: Sequence[str], side: str = "processor_id") -> list[tuple[str, list[Row]]]:
    """Rows with these columns, both ids and `doc_label`, by item (or by document), in the order of ids."""
    names = ("processor_id", "ledger_id", *columns)
    told = compared.select(*names, doc_label=label("doc_kind", "doc_number", "ledger_id"))
    make, at = _row((*names, "doc_label"))._make, names.index(side)
    groups: dict[str, list[Row]] = defaultdict(list)
    for values in told.rows():
        groups[values[at]].append(make(values))
    return sorted(groups.items())


def points(row: Row) -> int:
    """The sum of what the fields tell (milli-bits)."""
    return sum(getattr(row, f"{name}_weight", None) or 0 for name in FIELDS)


def problem(processor_id: str, ledger_id: str, code: Code, text: str) -> Discrepancy:
    return Discrepancy(processor_id, ledger_id, code, text)


def _typed_pairs(sides: Sides) -> pl.DataFrame:
    """Items and the documents that may record them, unless ids settle either of them; compared."""
    processor, ledger = sides.whole
    named = pl.concat([each.select(PAIR) for each in (sides.links, sides.references)])
    taken = sides.identity.select("document")
    people = ledger.filter(pl.col("kind") != "invoice", pl.col("marker").is_null())
    near = people.join(taken, on="document", how="anti")
    # An entry with several lines on the clearing account may record more than the item it names.
    several = people.filter(pl.col("clearing").list.len() > 1).join(taken, on="document")
    found = (
        blocking.by_typed_effect(processor, pl.concat([near, several]), sides.rules),
        blocking.by_typed_amount(processor, near, sides.rules),
        blocking.by_paid_invoice(named, processor, ledger, near),
    )
    pairs = pl.concat([each.with_columns(way=pl.lit(way, pl.UInt8)) for way, each in enumerate(found)])
    pairs = sides.constraints.allow(pairs).join(sides.identity, on="item", how="anti")
    # The customers of the invoices a charge names count as its own.
    asked = pairs.select("item").unique()
    known = sides.customers.of_items(processor.select(*WHO)[asked["item"]])
    more = customers_of(named.join(asked, on="item", how="semi"), ledger)
    # What an entry does to the clearing account is a part of its total, and may be less than the item by the fee.
    return (
        sides.compare(pairs, pl.concat([known, more]).unique())
        .filter((pl.col("customer") != "differs") | (pl.col("way") == len(found) - 1))
        .with_columns(is_equal=pl.col("is_equal") | (pl.col("way") == 0))
        .sort("item", "document", "way")
        .unique(["item", "document"], keep="first", maintain_order=True)
        .drop("way")
    )
