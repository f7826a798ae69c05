"""Who gets whom: the pairs of largest total weight, silent where another choice is nearly as good.

Weights are integers (milli-bits, see `reconcile.model`). A pair is chosen only if it is in the best assignment and the
best assignment without it is worse by at least the gate. So the answer does not depend on which of several best
assignments a solver happens to find.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl
from ortools.graph.python import min_cost_flow

Edge = tuple[int, int, int]  # left, right, weight
# A component beyond these is for a person: the reason is COMPONENT_LIMIT.
NODES_MAX, EDGES_MAX = 400, 2_500
ASSIGNED_SCHEMA = pl.Schema({"chosen": pl.Boolean(), "regret": pl.Int64(), "limited": pl.Boolean()})


NOTHING = pl.DataFrame(schema={"edge": pl.UInt32(), "regret": pl.Int64(), "limited": pl.Boolean()})


@dataclass(frozen=True, slots=True)
class Choice:
    """A chosen pair and how much worse the best assignment without it is."""

    left: int
    right: int
    regret: int


def assign(edges: pl.DataFrame, gate: int) -> pl.DataFrame:
    """The edges (`left` UInt32, `right` UInt32, `weight` Int64) with ASSIGNED_SCHEMA, in their order.

    Every node takes part in one pair at most. Edges of no positive weight are never chosen.
    """
    edges = edges.with_row_index("edge")
    useful = edges.filter(pl.col("weight") > 0).with_columns(
        of_left=pl.len().over("left"), of_right=pl.len().over("right")
    )
    shaped = useful.with_columns(
        star_of_left=pl.col("of_right").max().over("left") == 1,
        star_of_right=pl.col("of_left").max().over("right") == 1,
    )
    left, right = pl.col("star_of_left"), pl.col("star_of_right")
    judged = pl.concat(
        [
            _stars(shaped.filter(left), "left", gate),
            _stars(shaped.filter(right & ~left), "right", gate),
            _others(shaped.filter(~left & ~right), gate),
        ]
    )
    return (
        edges.join(judged, on="edge", how="left", maintain_order="left")
        .with_columns(regret=pl.col("regret").fill_null(0), limited=pl.col("limited").fill_null(False))
        .with_columns(chosen=(pl.col("regret") >= gate) & ~pl.col("limited"))
        .drop("edge")
    )


def _stars(edges: pl.DataFrame, center: str, gate: int) -> pl.DataFrame:
    """`edge, regret, limited` of nodes whose partners have no other: the best against the second best."""
    if edges.is_empty():
        return NOTHING
    best = edges.sort(center, "weight", "edge", descending=[False, True, False])
    second = pl.col("weight").shift(-1).over(center).fill_null(0)
    first = pl.col(center) != pl.col(center).shift(1)
    return (
        best.with_columns(regret=pl.col("weight") - second, first=first.fill_null(True))
        .filter(pl.col("first") & (pl.col("regret") >= gate))
        .select("edge", "regret", limited=pl.lit(False))
    )


def _others(edges: pl.DataFrame, gate: int) -> pl.DataFrame:
    """`edge, regret, limited` where several compete for several."""
    if edges.is_empty():
        return NOTHING
    rows = list(edges.select("left", "right", "weight").iter_rows())
    number = {(left, right): edge for (left, right, _), edge in zip(rows, edges["edge"], strict=True)}
    judged: list[tuple[int, int, bool]] = []
    for component in components(rows):
        if is_too_large(component):
            judged += [(number[left, right], 0, True) for left, right, _ in component]
        else:
            judged += [(number[each.left, each.right], each.regret, False) for each in solve(component, gate)]
    return pl.DataFrame(judged, schema=NOTHING.schema, orient="row")


def components(edges: Sequence[Edge]) -> list[list[Edge]]:
    """The edges by connected component, in the order of their first edges."""
    parent: dict[tuple[int, int], tuple[int, int]] = {}

    def root(node: tuple[int, int]) -> tuple[int, int]:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for left, right, _ in edges:
        parent[root((0, left))] = root((1, right))
    groups: dict[tuple[int, int], list[Edge]] = defaultdict(list)
    for edge in edges:
        groups[root((0, edge[0]))].append(edge)
    return list(groups.values())


def is_too_large(edges: Sequence[Edge]) -> bool:
    nodes = len({left for left, _, _ in edges}) + len({right for _, right, _ in edges})
    return nodes > NODES_MAX or len(edges) > EDGES_MAX


def solve(
    edges: Iterable[Edge],
    gate: int,
    left_capacity: dict[int, int] | None = None,
    right_capacity: dict[int, int] | None = None,
) -> list[Choice]:
    """The unambiguous pairs of one component; a node without a capacity takes part in one pair."""
    edges = sorted(edge for edge in edges if edge[2] > 0)
    if not edges:
        return []
    lefts, rights = {left for left, _, _ in edges}, {right for _, right, _ in edges}
    if not left_capacity and not right_capacity and (len(lefts) == 1 or len(rights) == 1):
        return _best_of_star(edges, gate)
    flow = _Flow(edges, left_capacity or {}, right_capacity or {})
    best, chosen = flow.best()
    regrets = [(edge, best - flow.without(edge)) for edge in chosen]
    return [Choice(edges[edge][0], edges[edge][1], regret) for edge, regret in regrets if regret >= gate]


def _best_of_star(edges: list[Edge], gate: int) -> list[Choice]:
    ranked = sorted(edges, key=lambda edge: -edge[2])
    regret = ranked[0][2] - (ranked[1][2] if len(ranked) > 1 else 0)
    return [Choice(ranked[0][0], ranked[0][1], regret)] if regret >= gate else []


class _Flow:
    """A min-cost flow: source -> left -> right -> sink, and straight from source to sink for whoever stays alone."""

    def __init__(self, edges: list[Edge], left_capacity: dict[int, int], right_capacity: dict[int, int]) -> None:
        self.flow = min_cost_flow.SimpleMinCostFlow()
        self.edges = edges
        nodes: dict[tuple[int, int], int] = {}
        for left, right, _ in edges:
            nodes.setdefault((0, left), len(nodes) + 2)
            nodes.setdefault((1, right), len(nodes) + 2)
        for left, right, weight in edges:
            self.flow.add_arc_with_capacity_and_unit_cost(nodes[0, left], nodes[1, right], 1, -weight)
        supply = 0
        for (side, key), node in nodes.items():
            capacity = (right_capacity if side else left_capacity).get(key, 1)
            start, end = (node, 1) if side else (0, node)
            self.flow.add_arc_with_capacity_and_unit_cost(start, end, capacity, 0)
            supply += 0 if side else capacity
        self.flow.add_arc_with_capacity_and_unit_cost(0, 1, supply, 0)
        self.flow.set_node_supply(0, supply)
        self.flow.set_node_supply(1, -supply)

    def best(self) -> tuple[int, list[int]]:
        """The largest total weight and the edges that reach it."""
        status = self.flow.solve()
        assert status == self.flow.OPTIMAL, f"a flow without any demand cannot be {status}"
        return -self.flow.optimal_cost(), [edge for edge in range(len(self.edges)) if self.flow.flow(edge)]

    def without(self, edge: int) -> int:
        """The largest total weight if one edge is forbidden."""
        self.flow.set_arc_capacity(edge, 0)
        total, _ = self.best()
        self.flow.set_arc_capacity(edge, 1)
        return total
