"""How fast, how frugal and how right the matcher is: `python -m benchmarks.match --rows 1000000 --json`.

Thresholds are certified on labels of `LABEL_SEEDS`, the figures measured on `--seed`, which must not be one of them.
The last line printed is one JSON object; the figures are explained in docs/MATCHING.md.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from benchmarks.labelled import World, world
from reconcile import blocking
from reconcile.certify import threshold
from reconcile.frames import LEDGER_SCHEMA, PROCESSOR_SCHEMA, canonical
from reconcile.matching import MatchResult, match
from reconcile.model import Model
from reconcile.tiers.plain import exact_pairs

LABEL_SEEDS = (101, 102, 103)
LABEL_ROWS = 300_000
PART_ROWS = 1_000_000  # a side, of what is made at once; more is measured in files of so many
RERUNS = 5  # of one company: it takes so little that one run says nothing
BATCH_ROWS = 100_000  # of both sides, matched at once where memory is scarce
# The share of false matches each tier may be certified for: the few that come in small numbers weigh little in all.
TARGETS = {
    "amount": 0.0005,
    "may_be_recorded": 0.001,
    "reference_difference": 0.001,
    "reference_parts": 0.002,
    "reference_sum": 0.002,
    "sum": 0.002,
    "sum_of_charges": 0.002,
}
BINS = (100_000, 500_000, 900_000, 990_000, 999_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="rows a side")
    parser.add_argument("--seed", type=int, default=1, help="of the world measured")
    parser.add_argument("--repeats", type=int, default=2, help="the best time of so many counts")
    parser.add_argument("--peers", choices=["splink"], help="measure this one too; it has to be installed")
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON line")
    asked = parser.parse_args()
    if asked.peers and find_spec(asked.peers) is None:
        sys.exit("Splink is not installed: pip install -r requirements-bench.lock")
    if asked.seed in LABEL_SEEDS:
        sys.exit("The thresholds were certified on this seed; choose another one.")
    say: Callable[[str], None] = (lambda _: None) if asked.json else print
    model = Model().certified(certify(say))
    say(f"thresholds (per million): {dict(model.thresholds)}")
    if asked.rows > PART_ROWS:
        print(json.dumps({"rows": asked.rows, "seed": asked.seed} | measure_parts(asked.rows, asked.seed, model, say)))
        return
    made = world(asked.rows, asked.seed)
    say(f"{made.processor.height:,} + {made.ledger.height:,} rows, {made.truth.height:,} true pairs")
    report: dict[str, Any] = {"rows": asked.rows, "seed": asked.seed, "thresholds_ppm": dict(model.thresholds)}
    report |= measure_speed(made, model, asked.repeats) | measure_quality(
        made, match(made.processor, made.ledger, model=model)
    )
    report |= measure_memory(made, model) | measure_rerun(made, model, report)
    if asked.peers:
        from benchmarks import peer

        report |= peer.measure(made)
        report["times_faster_than_splink"] = round(report["splink_s"] / report["pipeline_s"], 1)
    report["pipeline_to_bare_join"] = round(report["pipeline_s"] / report["bare_join_s"], 1)
    report["pipeline_to_bare_join_cpu"] = round(report["pipeline_cpu_s"] / report["bare_join_cpu_s"], 1)
    report["exact_tier_to_bare_join"] = round(report["exact_tier_s"] / report["bare_join_s"], 2)
    print(json.dumps(report))


def certify(say: Callable[[str], None]) -> dict[str, int]:
    """Thresholds from the labels of LABEL_SEEDS: of every pair its tier would take if nothing held it back."""
    open_doors = Model().certified(dict.fromkeys(TARGETS, 0))
    labels: dict[str, list[tuple[int, bool]]] = {tier: [] for tier in TARGETS}
    for seed in LABEL_SEEDS:
        made = world(LABEL_ROWS, seed)
        for tier, ppm, right in _judged(made, match(made.processor, made.ledger, model=open_doors)).iter_rows():
            if tier in labels:
                labels[tier].append((ppm, right))
    found = {tier: threshold(labels[tier], target) for tier, target in TARGETS.items()}
    for tier, each in labels.items():
        say(f"{tier}: {len(each):,} labels, {sum(not right for _, right in each)} wrong, threshold {found[tier]}")
    return {tier: ppm for tier, ppm in found.items() if ppm is not None}


def _judged(made: World, result: MatchResult) -> pl.DataFrame:
    """`tier, ppm, right`: every accepted match, right if all its pairs are true."""
    answers = result.verdicts.answers.filter("accepted")
    pairs = answers.select("match_id", "processor_id", ledger_id="ledger_ids").explode(
        "ledger_id", empty_as_null=True, keep_nulls=True
    )
    right = (
        pairs.join(made.truth, on=["processor_id", "ledger_id"], how="left")
        .group_by("match_id")
        .agg(right=pl.col("category").is_not_null().all())
    )
    return answers.join(right, on="match_id").select("tier", pl.col("probability_ppm").fill_null(0), "right")


def measure_speed(made: World, model: Model, repeats: int) -> dict[str, float]:
    """Seconds, and seconds of processor time (`cpu`): the best of several runs, each over frames in memory."""
    charges = canonical(made.processor, PROCESSOR_SCHEMA, "processor").with_row_index("item")
    charges = charges.filter(pl.col("kind") == "charge")
    invoices = canonical(made.ledger, LEDGER_SCHEMA, "ledger").with_row_index("document")
    invoices = invoices.filter(pl.col("kind") == "invoice")
    keys = blocking.reference_keys(charges).join(charges.select("currency", "amount_minor", "item"), on="item")
    numbers = blocking.numbers_of(invoices, "document", "doc_number").join(
        invoices.select("currency", "open_minor", "document"), on="document"
    )

    def bare() -> object:
        return keys.join(
            numbers,
            left_on=["company", "currency", "key", "amount_minor"],
            right_on=["company", "currency", "key", "open_minor"],
        )

    told = {}
    for name, work, times in (
        ("bare_join", bare, max(3, repeats)),
        ("exact_tier", lambda: exact_pairs(keys, numbers), max(3, repeats)),
        ("pipeline", lambda: match(made.processor, made.ledger, model=model), repeats),
    ):
        told[f"{name}_s"], told[f"{name}_cpu_s"] = _best(work, times)
    return told


def measure_memory(made: World, model: Model) -> dict[str, float]:
    """Peak bytes a row of a process that reads the frames, matches them and writes the result: at once, in batches."""
    with TemporaryDirectory() as folder:
        _write(made, folder, 0)
        told = {}
        for name, rows_max in (("peak_bytes_per_row_at_once", made.rows), ("peak_bytes_per_row", BATCH_ROWS)):
            told[name] = round(_apart(folder, model, rows_max)["peak_bytes"] / made.rows, 1)
    return told


def measure_parts(rows: int, seed: int, model: Model, say: Callable[[str], None]) -> dict[str, Any]:
    """A world too large to be made at once: companies in several files, matched in batches by one process."""
    with TemporaryDirectory() as folder:
        total = 0
        for part in range(-(-rows // PART_ROWS)):
            made = _renamed(world(min(PART_ROWS, rows - part * PART_ROWS), seed + 1_000 * part), part)
            _write(made, folder, part)
            total += made.rows
            say(f"part {part + 1}: {made.rows:,} rows")
        told = _apart(folder, model, BATCH_ROWS)
        truth = pl.scan_parquet(f"{folder}/truth-*.parquet").select("processor_id", "ledger_id", right=pl.lit(True))
        accepted = pl.scan_parquet(f"{folder}/matches-*.parquet").filter(pl.col("decision") == "auto")
        pairs = (
            pl.scan_parquet(f"{folder}/allocations-*.parquet")
            .join(accepted.select("match_id"), on="match_id", how="semi")
            .join(truth, on=["processor_id", "ledger_id"], how="left")
            .select(taken=pl.len(), right=pl.col("right").is_not_null().sum())
            .collect(engine="streaming")
        )
        true_pairs = truth.select(pl.len()).collect().item()
    return {
        "rows_of_both_sides": total,
        "pipeline_s": round(told["seconds"], 1),
        "rows_per_s": round(total / told["seconds"]),
        "peak_bytes_per_row": round(told["peak_bytes"] / total, 1),
        "precision": round(pairs["right"].item() / pairs["taken"].item(), 6),
        "recall": round(pairs["right"].item() / true_pairs, 6),
    }


def _renamed(made: World, part: int) -> World:
    """With companies and ids that no other part has."""
    mine = {"company": pl.format("{}-{}", "company", pl.lit(part)), "id": pl.format("{}p{}", "id", pl.lit(part))}
    names = [pl.format("{}p{}", name, pl.lit(part)).alias(name) for name in ("processor_id", "ledger_id")]
    # What a document carries are ids of the other side; those of links are nobody's row.
    carried = pl.col("external_ids").list.eval(
        pl.when(pl.element().str.starts_with("in_")).then(pl.element()).otherwise(pl.element() + f"p{part}")
    )
    return World(
        processor=made.processor.with_columns(**mine),
        ledger=made.ledger.with_columns(**mine, external_ids=carried),
        truth=made.truth.with_columns(names),
        categories=made.categories,
    )


def _write(made: World, folder: str, part: int) -> None:
    made.processor.write_parquet(f"{folder}/processor-{part}.parquet")
    made.ledger.write_parquet(f"{folder}/ledger-{part}.parquet")
    made.truth.write_parquet(f"{folder}/truth-{part}.parquet")


def _apart(folder: str, model: Model, rows_max: int) -> dict[str, float]:
    """What `match_files` tells, in a process of its own."""
    code = "import json, sys; from benchmarks.match import match_files; print(json.dumps(match_files(*sys.argv[1:])))"
    asked = [sys.executable, "-c", code, folder, model.to_json(), str(rows_max)]
    told: dict[str, float] = json.loads(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)  # noqa: S603  ourselves
    return told


def match_files(folder: str, model: str, rows_max: str) -> dict[str, float]:
    """How far the memory of this process grows, from after its imports, while it reads, matches and writes; seconds."""
    before, start = _memory("VmRSS"), time.perf_counter()
    for part in range(len(list(Path(folder).glob("processor-*.parquet")))):
        sides = [pl.scan_parquet(f"{folder}/{side}-{part}.parquet") for side in ("processor", "ledger")]
        for number, companies in enumerate(_batches(sides, int(rows_max))):
            frames = (side.filter(pl.col("company").is_in(companies)).collect(engine="streaming") for side in sides)
            result = match(*frames, model=Model.from_json(model))
            for name in ("matches", "allocations", "discrepancies"):
                getattr(result, name).write_parquet(f"{folder}/{name}-{part}-{number}.parquet")
    return {"peak_bytes": _memory("VmHWM") - before, "seconds": time.perf_counter() - start}


def _batches(sides: list[pl.LazyFrame], rows_max: int) -> list[list[str]]:
    """Companies, the largest first, in batches of about as many rows; a company is never split."""
    sizes = pl.concat([side.select("company") for side in sides]).group_by("company").len().collect()
    batches: list[list[str]] = []
    room = 0
    for company, rows in sizes.sort("len", "company", descending=True).iter_rows():
        if rows > room:
            batches.append([])
            room = rows_max
        batches[-1].append(company)
        room -= rows
    return batches


def _memory(name: str) -> int:
    """Bytes, from what Linux tells of this process."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) * 1_024 for line in lines if line.startswith(f"{name}:"))


def measure_rerun(made: World, model: Model, told: dict[str, Any]) -> dict[str, Any]:
    """One invoice changes: the share of the full time (by the clock, of the processor) that matching its company again
    takes, for companies of several sizes.
    """
    row = made.ledger.filter(pl.col("kind") == "invoice").sort("id").row(0, named=True)
    sizes = made.ledger.group_by("company").len().sort("len", "company")["company"]
    shares = {}
    for label, company in (
        ("middle", sizes[len(sizes) // 2]),
        ("of_first_row", row["company"]),
        ("largest", sizes[-1]),
    ):
        mine = [frame.filter(pl.col("company") == company) for frame in (made.processor, made.ledger)]
        times = _best(lambda mine=mine: match(*mine, model=model), RERUNS)
        full = (told["pipeline_s"], told["pipeline_cpu_s"])
        shares[label] = [round(time / whole, 5) for time, whole in zip(times, full, strict=True)]
    return {"rerun_share_of_full": shares}


def _best(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """The least seconds of so many runs, by the clock and of the processor."""
    times, busy = [], []
    for _ in range(repeats):
        start, begun = time.perf_counter(), time.process_time()
        work()
        times.append(time.perf_counter() - start)
        busy.append(time.process_time() - begun)
    return round(min(times), 4), round(min(busy), 4)


def measure_quality(made: World, result: MatchResult) -> dict[str, Any]:
    """Precision and recall of accepted pairs, by tier and by kind of trouble, and how true the probabilities are."""
    accepted = result.matches.filter(pl.col("decision") == "auto").select("match_id", "tier")
    labels = made.truth.select("processor_id", "ledger_id", right=pl.lit(True))
    taken = (
        result.allocations.join(accepted, on="match_id")
        .join(labels, on=["processor_id", "ledger_id"], how="left")
        .with_columns(pl.col("right").fill_null(False))
    )
    tiers = taken.group_by("tier").agg(pairs=pl.len(), false=(~pl.col("right")).sum()).sort("tier")
    truth = made.truth.join(
        taken.select("processor_id", "ledger_id", found=pl.lit(True)), on=["processor_id", "ledger_id"], how="left"
    )
    recall = truth.group_by("category").agg(pairs=pl.len(), recall=pl.col("found").is_not_null().mean().round(4))
    wrong = taken.filter(~pl.col("right")).join(made.categories, on="processor_id")
    return {
        "precision": round(taken["right"].mean(), 6),
        "recall": round(truth["found"].is_not_null().mean(), 6),
        "tiers": tiers.to_dicts(),
        "categories": recall.sort("category").to_dicts(),
        "false_by_category": dict(wrong.group_by("category").len().sort("category").iter_rows()),
        "calibration": _calibration(made, result),
    }


def _calibration(made: World, result: MatchResult) -> list[dict[str, Any]]:
    """Of the candidates by amount: how probable they were called, and how many were true."""
    pairs = (
        result.verdicts.answers.filter(pl.col("tier") == "amount")
        .select("processor_id", pl.col("ledger_ids").list.first().alias("ledger_id"), ppm="probability_ppm")
        .join(made.truth, on=["processor_id", "ledger_id"], how="left")
        .with_columns(bin=sum((pl.col("ppm") >= edge).cast(pl.Int8) for edge in BINS))
    )
    true = pl.col("category").is_not_null().mean().round(4)
    bins = pairs.group_by("bin").agg(pairs=pl.len(), said=(pl.col("ppm").mean() / 1e6).round(4), true=true)
    return bins.sort("said").drop("bin").to_dicts()


if __name__ == "__main__":
    main()
