"""Who matches the blocks: this process, or several. Another machine can be one more `BlockExecutor`."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Protocol

from reconcile.blocks import Block, Matched, match_block


class BlockExecutor(Protocol):
    """Matches blocks, wherever; the results come in any order, for joining does not depend on it."""

    def run(self, blocks: Sequence[Block]) -> list[Matched]:
        """One result a block."""
        ...


class InProcess:
    """One block after the other, here; polars uses every core within a block."""

    def run(self, blocks: Sequence[Block]) -> list[Matched]:
        """One result a block, in their order."""
        return [match_block(block) for block in blocks]


@dataclass(frozen=True, slots=True)
class Processes:
    """Several processes, started afresh (polars does not survive a fork); the largest blocks go first."""

    workers: int

    def run(self, blocks: Sequence[Block]) -> list[Matched]:
        """One result a block, the largest block first."""
        largest_first = sorted(blocks, key=lambda block: (-block.rows, block.company))
        with ProcessPoolExecutor(self.workers, mp_context=get_context("spawn")) as pool:
            return list(pool.map(match_block, largest_first))
