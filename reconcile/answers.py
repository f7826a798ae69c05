"""From what the tiers found to frames and verdicts: ids, ranks, allocations, evidence."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from operator import attrgetter
from typing import Any

import polars as pl

from reconcile import score
from reconcile.discrepancy import INFORMATIVE, Code, Discrepancy
from reconcile.result import (
    DISCREPANCIES_SCHEMA,
    MATCHES_SCHEMA,
    Allocation,
    Proposal,
    Verdict,
)
from reconcile.tiers.plain import Plain
from reconcile.tiers.state import Answer, Found, Sides

ID_MAX = 160  # bytes of a match's id
# One row an answer; `ledger_ids` and `amounts` (minor units of the documents' currency) belong together.
ANSWERS_SCHEMA = pl.Schema(
    {
        "item": pl.UInt32(),  # the row number: in the order of ids
        "processor_id": pl.String(),
        "tier": pl.String(),
        "role": pl.String(),
        "accepted": pl.Boolean(),
        "weight": pl.Int64(),
        "probability_ppm": pl.Int64(),
        "reason": pl.String(),
        "currency": pl.String(),
        "ledger_ids": pl.List(pl.String()),
        "amounts": pl.List(pl.Int64()),
    }
)


def from_python(sides: Sides, answers: Sequence[Answer]) -> pl.DataFrame:
    """ANSWERS_SCHEMA of answers found one by one."""
    names = ("processor_id", "tier", "role", "accepted", "weight", "probability_ppm", "reason")
    columns = zip(*map(attrgetter(*names), answers), strict=True) if answers else [()] * len(names)
    parts = sorted((number, *pair) for number, answer in enumerate(answers) for pair in answer.pairs)
    row, ledger_ids, amounts = zip(*parts, strict=True) if parts else ((), (), ())
    flat = pl.DataFrame(
        {"row": row, "ledger_ids": ledger_ids, "amounts": amounts},
        schema={"row": pl.Int64, "ledger_ids": pl.String, "amounts": pl.Int64},
    )
    lists = flat.group_by("row", maintain_order=True).agg("ledger_ids", "amounts").drop("row")
    told = pl.DataFrame(
        dict(zip(names, columns, strict=True)), schema={name: ANSWERS_SCHEMA[name] for name in names}
    ).hstack(lists)
    return (
        told.with_columns(ledger_id=pl.col("ledger_ids").list.first())
        .join(sides.processor.select("item", processor_id="id"), on="processor_id", how="left", maintain_order="left")
        .join(sides.ledger.select("currency", ledger_id="id"), on="ledger_id", how="left", maintain_order="left")
        .drop("ledger_id")
    )


def from_plain(sides: Sides, plain: Plain) -> pl.DataFrame:
    """ANSWERS_SCHEMA of what was plain."""
    named = plain.pairs.hstack(sides.ids(plain.pairs)).with_columns(
        doc_number=sides.whole[1]["doc_number"].gather(plain.pairs["document"])
    )
    parts = ("Invoice ", " is named in the ", " and its open balance equals the charge.")
    text = pl.concat_str(pl.lit(parts[0]), "doc_number", pl.lit(parts[1]), "source", pl.lit(parts[2]))
    carries = "{} carries the id of this {} ({}): it is already in the books."
    return pl.concat(
        [
            _single(named, "reference", "pays_invoice", score.REFERENCE, text),
            _single(
                plain.recorded,
                "recorded",
                "already_recorded",
                score.IDENTITY,
                pl.format(carries, "doc_label", "item_kind", "name"),
            ),
        ]
    )


def _single(pairs: pl.DataFrame, tier: str, role: str, weight: int, reason: pl.Expr) -> pl.DataFrame:
    return pairs.select(
        "item",
        "processor_id",
        tier=pl.lit(tier),
        role=pl.lit(role),
        accepted=pl.lit(True),
        weight=pl.lit(weight, dtype=pl.Int64),
        probability_ppm=pl.lit(None, dtype=pl.Int64),
        reason=reason,
        currency="currency",
        ledger_ids=pl.col("ledger_id").reshape((-1, 1)).arr.to_list(),
        amounts=pl.col("amount_minor").reshape((-1, 1)).arr.to_list(),
    )


def ranked(plain: pl.DataFrame, rest: pl.DataFrame) -> pl.DataFrame:
    """Answers with `rank` (equal ones tie) and `match_id`, an item's best first; a plain one is its item's only one.

    What may be recorded already comes first, then the heavier answer.
    """
    later = (pl.col("role") != "already_recorded").cast(pl.Int64)
    rest = rest.with_columns(order=later * 2**40 - pl.col("weight")).sort("item", "order")
    pair = pl.struct("item", "order")
    steps = rest.select("item", step=(pair != pair.shift(1)).fill_null(True).cum_sum().cast(pl.Int64))
    rank = steps.select(pl.col("step") - pl.col("step").min().over("item") + 1)["step"]
    rest = _named(rest.drop("order").with_columns(rank=rank)).sort("item", "rank", "match_id")
    single = plain.with_columns(
        rank=pl.lit(1, dtype=pl.Int64),
        match_id=pl.concat_str("processor_id", pl.lit("="), pl.col("ledger_ids").list.first()),
    )
    return pl.concat([single, rest]).sort("item", maintain_order=True)


def _named(answers: pl.DataFrame) -> pl.DataFrame:
    """With `match_id`: nothing but who is matched with whom makes it. It can be read, unless it would be very long."""
    documents = pl.col("ledger_ids").list.join("+")
    named = answers.with_columns(match_id=pl.format("{}={}", "processor_id", documents))
    long = named["match_id"].str.len_bytes() > ID_MAX
    if not long.any():
        return named
    digests = [sha256("+".join(ids).encode()).hexdigest() for ids in named.filter(long)["ledger_ids"]]
    short = named.filter(long).with_columns(tail=pl.Series(digests, dtype=pl.String))
    short = short.with_columns(match_id=pl.format("{}={}", "processor_id", "tail")).drop("tail")
    return pl.concat([named.filter(~long), short])


def matches_of(answers: pl.DataFrame) -> pl.DataFrame:
    """MATCHES_SCHEMA of ranked answers."""
    return answers.select(
        "match_id",
        processor_ids=pl.col("processor_id").reshape((-1, 1)).arr.to_list(),
        ledger_ids="ledger_ids",
        currency="currency",
        amount_minor=pl.col("amounts").list.sum(),
        tier="tier",
        role="role",
        decision=pl.when("accepted").then(pl.lit("auto")).otherwise(pl.lit("proposed")),
        rank="rank",
        probability=pl.col("probability_ppm") / 1_000_000,
        reasons=pl.col("reason").reshape((-1, 1)).arr.to_list(),
    ).cast(dict(MATCHES_SCHEMA.items()))


def allocations_of(answers: pl.DataFrame) -> pl.DataFrame:
    """ALLOCATIONS_SCHEMA of ranked answers, in their order."""
    return answers.select(
        "match_id", "processor_id", ledger_id="ledger_ids", amount_minor="amounts", role="role"
    ).explode("ledger_id", "amount_minor", empty_as_null=False, keep_nulls=False)


def discrepancies_of(found: Found) -> pl.DataFrame:
    """DISCREPANCIES_SCHEMA, in the order they were found; some may be there twice."""
    rows = [
        each for each in found.discrepancies if each.code != Code.OVERPAID or each.processor_id not in found.explained
    ]
    columns = zip(*rows, strict=True) if rows else [()] * len(DISCREPANCIES_SCHEMA)
    return pl.DataFrame(dict(zip(DISCREPANCIES_SCHEMA, columns, strict=True)), schema=DISCREPANCIES_SCHEMA)


@dataclass(slots=True)
class _Columns:
    """Answers as lists, and where each item's stand."""

    lists: dict[str, list[Any]]
    spans: dict[str, tuple[int, int]]

    @classmethod
    def of(cls, answers: pl.DataFrame) -> "_Columns":
        sizes = answers.group_by("processor_id", maintain_order=True).len()
        spans, start = {}, 0
        for processor_id, size in sizes.iter_rows():
            spans[processor_id] = (start, start + size)
            start += size
        return cls(answers.to_dict(as_series=False), spans)


@dataclass(eq=False)
class Verdicts(Mapping[str, Verdict]):
    """Verdicts by item, made when they are asked for."""

    ids: pl.Series
    answers: pl.DataFrame
    problems: pl.DataFrame
    notes: Mapping[str, tuple[str, str]]  # code and text of items people took out
    customers_of: Callable[[], Mapping[str, str]] = field(repr=False)

    @cached_property
    def _all_ids(self) -> dict[str, None]:
        return dict.fromkeys(self.ids)

    @cached_property
    def _columns(self) -> _Columns:
        return _Columns.of(self.answers)

    @cached_property
    def customers(self) -> Mapping[str, str]:
        """The customer in the books that an item certainly belongs to, by item."""
        return self.customers_of()

    @cached_property
    def _problems(self) -> dict[str, list[Discrepancy]]:
        by_item: dict[str, list[Discrepancy]] = defaultdict(list)
        for processor_id, ledger_id, code, text in self.problems.iter_rows():
            by_item[processor_id].append(Discrepancy(processor_id, ledger_id, Code(code), text))
        return dict(by_item)

    def __iter__(self) -> Iterator[str]:
        return iter(self._all_ids)

    def __len__(self) -> int:
        return len(self._all_ids)

    def __contains__(self, processor_id: object) -> bool:
        return processor_id in self._all_ids

    def __getitem__(self, processor_id: str) -> Verdict:
        if processor_id not in self._all_ids:
            raise KeyError(processor_id)
        if processor_id in self.notes:
            code, text = self.notes[processor_id]
            return Verdict(processor_id=processor_id, code=code, text=text)
        start, end = self._columns.spans.get(processor_id, (0, 0))
        proposals = tuple(_proposal(self._columns.lists, row) for row in range(start, end))
        accepted = self._columns.lists["accepted"][start:end]
        taken = next((each for each, yes in zip(proposals, accepted, strict=True) if yes), None)
        problems = self._problems.get(processor_id, [])
        return _verdict(processor_id, proposals, taken, problems, self.customers.get(processor_id))


def _proposal(lists: dict[str, list[Any]], row: int) -> Proposal:
    parts = zip(lists["ledger_ids"][row], lists["amounts"][row], strict=True)
    return Proposal(
        match_id=lists["match_id"][row],
        tier=lists["tier"][row],
        role=lists["role"][row],
        rank=lists["rank"][row],
        allocations=tuple(Allocation(ledger_id=ledger_id, amount_minor=amount) for ledger_id, amount in parts),
        reasons=(lists["reason"][row],),
        probability_ppm=lists["probability_ppm"][row],
    )


def _verdict(
    processor_id: str,
    proposals: tuple[Proposal, ...],
    taken: Proposal | None,
    problems: list[Discrepancy],
    customer_id: str | None,
) -> Verdict:
    urgent = sorted(problems, key=lambda each: (each.code != Code.MAY_BE_RECORDED, each.code in INFORMATIVE))
    best = taken or (proposals[0] if proposals else None)
    texts = [each.text for each in urgent]
    if taken:
        texts.insert(0, taken.reasons[0])
    elif not texts:
        texts = [proposal.reasons[0] for proposal in proposals if proposal.rank == 1]
    return Verdict(
        processor_id=processor_id,
        decision="auto" if taken else "proposed" if proposals else "none",
        role=best.role if best else "",
        tier=best.tier if best else "",
        match_id=best.match_id if best else "",
        allocations=taken.allocations if taken else (),
        proposals=proposals,
        discrepancies=tuple(urgent),
        code=urgent[0].code.value if urgent else "",
        text=" ".join(texts),
        customer_id=customer_id,
    )
