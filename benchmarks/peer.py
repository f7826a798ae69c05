"""Splink on the same rows, so that our figures stand beside the best open ones: `--peers splink`.

It is told what we are told, after our own clean-up of names, addresses and references, and trained on the rows it
links, as its documentation recommends. It cannot know of sums, parts or several records of one payment, and is not
asked to.
"""

import time
from typing import Any

import polars as pl

from benchmarks.labelled import World
from reconcile import blocking, score
from reconcile.frames import LEDGER_SCHEMA, PROCESSOR_SCHEMA, canonical

PROBABILITY = 0.99  # from which a link counts as accepted
PAIRS_MAX, SEED = 5_000_000, 1
# The pairs our own matcher looks at: of one number, of one customer, of one amount if something of the names agrees,
# and, for payouts have no names, of one amount and day.
BLOCKS = (
    ("reference",),
    ("email",),
    ("name",),
    ("amount", "substr(name, 1, 4)"),
    ("amount", "substr(name, -4)"),
    ("amount", "day"),
)
RECALL = 0.85  # of number, amount and currency together, which start its estimate of how many pairs belong together


def measure(made: World) -> dict[str, Any]:
    """`splink_s`, precision, recall, and recall by kind of trouble. Raises ImportError if Splink is not installed."""
    import splink
    import splink.comparison_library as compare
    from splink import DuckDBAPI, Linker, SettingsCreator, block_on

    sides = [side.to_arrow() for side in _sides(made)]
    start = time.perf_counter()
    block = ("company", "currency")
    settings = SettingsCreator(
        link_type="link_only",
        comparisons=[
            compare.ExactMatch("reference"),
            compare.ExactMatch("amount").configure(term_frequency_adjustments=True),
            compare.JaroWinklerAtThresholds("name", [0.92, 0.8]).configure(term_frequency_adjustments=True),
            compare.ExactMatch("email"),
            compare.AbsoluteDateDifferenceAtThresholds(
                "day", input_is_string=False, metrics=["day", "day", "day"], thresholds=[3, 35, 90]
            ),
        ],
        blocking_rules_to_generate_predictions=[block_on(*block, *keys) for keys in BLOCKS],
        retain_matching_columns=False,
    )
    database = DuckDBAPI()
    tables = [database.register(side, dataset_display_name=name) for side, name in zip(sides, NAMES, strict=True)]
    linker = Linker(tables, settings, log_level=None)
    train = linker.training
    train.estimate_probability_two_random_records_match([block_on(*block, "reference", "amount")], recall=RECALL)
    train.estimate_u_using_random_sampling(max_pairs=PAIRS_MAX, seed=SEED)
    train.estimate_parameters_using_expectation_maximisation(block_on(*block, "reference"))
    train.estimate_parameters_using_expectation_maximisation(block_on(*block, "amount", "email"))
    found = linker.inference.predict(threshold_match_probability=PROBABILITY)
    clusters = linker.clustering.cluster_using_single_best_links(
        found, duplicate_free_datasets=list(NAMES), threshold_match_probability=PROBABILITY, ties_method="drop"
    )
    taken = pl.from_arrow(clusters.as_pyarrow_table())
    seconds = time.perf_counter() - start
    assert isinstance(taken, pl.DataFrame), "a table has columns"
    return {"splink_s": round(seconds, 2), "splink": {"version": splink.__version__} | _quality(made, taken)}


NAMES = ("processor", "ledger")


def _sides(made: World) -> list[pl.DataFrame]:
    """Both sides with the columns Splink compares."""
    left = canonical(made.processor, PROCESSOR_SCHEMA, "processor").with_row_index("item")
    right = canonical(made.ledger, LEDGER_SCHEMA, "ledger").with_row_index("document")
    named = blocking.reference_keys(left).unique("item", keep="first", maintain_order=True)
    numbers = blocking.numbers_of(right, "document", "doc_number")
    common = {
        "name": score.person_key(pl.col("customer_name")),
        "email": score.email_key(pl.col("customer_email")),
    }
    items = left.join(named.select("item", "key"), on="item", how="left").select(
        "company",
        "currency",
        unique_id="id",
        reference="key",
        amount=pl.col("amount_minor").abs(),
        day=pl.col("occurred_at").dt.date(),
        **common,
    )
    is_open = pl.when(pl.col("kind") == "invoice").then("open_minor").otherwise("amount_minor")
    documents = right.join(numbers.select("document", "key"), on="document", how="left").select(
        "company", "currency", unique_id="id", reference="key", amount=is_open.abs(), day="date", **common
    )
    return [items, documents]


def _quality(made: World, clusters: pl.DataFrame) -> dict[str, Any]:
    """Pairs are the clusters of two."""
    sides = [clusters.filter(pl.col("source_dataset").str.contains(name)) for name in NAMES]
    pairs = (
        sides[0]
        .select("cluster_id", processor_id="unique_id")
        .join(sides[1].select("cluster_id", ledger_id="unique_id"), on="cluster_id")
        .select("processor_id", "ledger_id", found=pl.lit(True))
    )
    truth = made.truth.join(pairs, on=["processor_id", "ledger_id"], how="left")
    right = truth["found"].is_not_null()
    recall = truth.group_by("category").agg(recall=pl.col("found").is_not_null().mean().round(4)).sort("category")
    return {
        "precision": round(right.sum() / max(1, pairs.height), 6),
        "recall": round(right.mean(), 6),
        "recall_by_category": dict(recall.iter_rows()),
    }
