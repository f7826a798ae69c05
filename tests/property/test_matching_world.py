"""The matcher on a labelled world: right where it is sure, and the same whatever order, threads and process."""

import os
import subprocess
import sys
from hashlib import sha256

import polars as pl

from benchmarks.labelled import World, world
from reconcile import MatchResult, match
from reconcile.model import Model

ROWS, SEED = 3_000, 7
OPEN = Model().certified({"amount": 990_000, "reference_parts": 990_000, "sum": 990_000})


def digest(result: MatchResult) -> str:
    parts = [part.write_json() for part in (result.matches, result.allocations, result.discrepancies, result.evidence)]
    return sha256("\n".join(parts).encode()).hexdigest()


def taken(made: World, model: Model) -> pl.DataFrame:
    """The accepted pairs and whether they are true."""
    result = match(made.processor, made.ledger, model=model)
    accepted = result.matches.filter(pl.col("decision") == "auto").select("match_id", "tier")
    pairs = result.allocations.join(accepted, on="match_id")
    return pairs.join(made.truth, on=["processor_id", "ledger_id"], how="left").with_columns(
        right=pl.col("category").is_not_null()
    )


def test_what_is_accepted_is_right_and_most_is_accepted() -> None:
    made = world(20_000, SEED)
    shipped, certified = taken(made, Model()), taken(made, OPEN)
    assert set(shipped["tier"]) <= {"recorded", "linked", "reference"}
    for pairs, recall in ((shipped, 0.85), (certified, 0.94)):
        assert (~pairs["right"]).sum() <= 3
        assert pairs["right"].sum() / made.truth.height >= recall
    # Amount and number alone do not tell these apart; nobody else may either.
    assert "duplicate_charge" not in set(certified["category"].drop_nulls())
    assert "hand_recorded" not in set(certified["category"].drop_nulls())


def test_order_threads_and_process_change_nothing() -> None:
    made = world(ROWS, SEED)
    here = digest(match(made.processor, made.ledger, model=OPEN))
    mixed = [frame.sample(fraction=1, shuffle=True, seed=5) for frame in (made.processor, made.ledger)]
    assert digest(match(*mixed, model=OPEN)) == here
    code = (
        "from tests.property.test_matching_world import *;"
        "made = world(ROWS, SEED); print(digest(match(made.processor, made.ledger, model=OPEN)))"
    )
    for setting in ({"POLARS_MAX_THREADS": "1"}, {"POLARS_ENGINE_AFFINITY": "streaming", "PYTHONHASHSEED": "1"}):
        told = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | setting, check=True, capture_output=True, text=True
        )
        assert told.stdout.strip() == here


def test_the_joins_used_agree_with_plain_python() -> None:
    """Equal keys, missing keys, keys on one side only, several rows a key: inner, semi and anti."""
    for seed in range(40):
        left = [(n, None if (n * seed) % 5 == 0 else (n * 7 + seed) % 6) for n in range(seed % 9)]
        right = [(n, None if (n + seed) % 4 == 0 else (n * 3 + seed) % 6) for n in range(seed % 7)]
        frames = [
            pl.DataFrame(rows, schema={name: pl.Int64, "key": pl.Int64}, orient="row")
            for rows, name in ((left, "a"), (right, "b"))
        ]
        meets = [(a, b) for a, k in left for b, other in right if k is not None and k == other]
        for engine in ("in-memory", "streaming"):
            inner, semi, anti = (
                frames[0].lazy().join(frames[1].lazy(), on="key", how=how).collect(engine=engine)  # type: ignore[call-overload]
                for how in ("inner", "semi", "anti")
            )
            assert sorted(inner.select("a", "b").iter_rows()) == sorted(meets)
            assert sorted(semi["a"]) == sorted({a for a, _ in meets})
            assert sorted(anti["a"]) == sorted({a for a, _ in left} - {a for a, _ in meets})
