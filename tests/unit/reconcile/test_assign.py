"""Assignment against brute force: the same choice, the same weight, the same silences."""

import random  # noqa: TID251  a seeded one
from functools import cache

import polars as pl

from reconcile.assign import EDGES_MAX, Choice, Edge, assign, solve

CASES = 10_000


def best_total(edges: tuple[Edge, ...], left: tuple[int, ...], right: tuple[int, ...]) -> int:
    """The largest weight, by trying every subset that the capacities allow."""

    @cache
    def go(position: int, left: tuple[int, ...], right: tuple[int, ...]) -> int:
        if position == len(edges):
            return 0
        a, b, weight = edges[position]
        total = go(position + 1, left, right)
        if left[a] and right[b]:
            fewer = (*left[:a], left[a] - 1, *left[a + 1 :]), (*right[:b], right[b] - 1, *right[b + 1 :])
            total = max(total, weight + go(position + 1, *fewer))
        return total

    return go(0, left, right)


def brute_force(edges: list[Edge], left: tuple[int, ...], right: tuple[int, ...], gate: int) -> set[Choice]:
    useful = tuple(sorted(edge for edge in edges if edge[2] > 0))
    best = best_total(useful, left, right)
    regrets = [best - best_total(useful[:n] + useful[n + 1 :], left, right) for n in range(len(useful))]
    return {Choice(a, b, regret) for (a, b, _), regret in zip(useful, regrets, strict=True) if regret >= gate}


def test_the_flow_agrees_with_brute_force() -> None:
    rng = random.Random(20260110)
    for case in range(CASES):
        lefts, rights = rng.randint(1, 8), rng.randint(1, 8)
        density = rng.choice([0.15, 0.3] if lefts * rights > 30 else [0.3, 0.6])
        weights = rng.choice([[1, 2, 3], [-5, 5, 8, 13], list(range(1, 60))])
        edges = [(a, b, rng.choice(weights)) for a in range(lefts) for b in range(rights) if rng.random() < density][
            :14
        ]
        left = tuple(rng.choice([1, 1, 2, 3]) if case % 3 == 0 else 1 for _ in range(lefts))
        right = tuple(rng.choice([1, 1, 2]) if case % 5 == 0 else 1 for _ in range(rights))
        gate = rng.choice([1, 1, 2, 5])
        capacities = [{n: size for n, size in enumerate(side) if size > 1} for side in (left, right)]
        found = set(solve(edges, gate, *capacities))
        assert found == brute_force(edges, left, right, gate), (edges, left, right, gate)
        if case % 10 == 0 and {*left, *right} == {1}:
            assert chosen(edges, gate) == {(each.left, each.right) for each in found}


def chosen(edges: list[Edge], gate: int) -> set[tuple[int, int]]:
    schema = {"left": pl.UInt32, "right": pl.UInt32, "weight": pl.Int64}
    judged = assign(pl.DataFrame(edges, schema=schema, orient="row"), gate).filter("chosen")
    return set(judged.select("left", "right").iter_rows())


def test_equally_good_answers_leave_everybody_alone() -> None:
    assert solve([(0, 0, 9), (0, 1, 9)], 1) == []
    assert solve([(0, 0, 9), (0, 1, 9), (1, 0, 9), (1, 1, 9)], 1) == []


def test_all_together_beats_the_best_pair_first() -> None:
    assert solve([(0, 0, 10), (0, 1, 9), (1, 0, 9)], 1) == [Choice(0, 1, 8), Choice(1, 0, 8)]


def test_what_is_too_large_is_left_to_a_person() -> None:
    size = int(EDGES_MAX**0.5) + 1
    edges = [(a, b, 5) for a in range(size) for b in range(size)]
    schema = {"left": pl.UInt32, "right": pl.UInt32, "weight": pl.Int64}
    judged = assign(pl.DataFrame(edges, schema=schema, orient="row"), 1)
    assert judged["limited"].all()
    assert not judged["chosen"].any()
