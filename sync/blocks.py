"""Who matches the blocks: this process, several, or the machines of a Ray cluster.

From what size which of them pays: docs/decisions/0029-matching-on-ray.md.
"""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Protocol

from reconcile.blocks import Block, Matched, match_block
from sync.errors import Rejected


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
        with ProcessPoolExecutor(self.workers, mp_context=get_context("spawn")) as pool:
            return list(pool.map(match_block, _largest_first(blocks)))


@dataclass(frozen=True, slots=True)
class OnRay:
    """Every core of a Ray cluster, whose machines have the same Tieout installed with `pip install tieout[ray]`.

    `address` is its head's, `host:port`. Ray matches a block again elsewhere if its machine is lost: matching is pure.
    """

    address: str

    def run(self, blocks: Sequence[Block]) -> list[Matched]:
        """One result a block, the largest block first. Raises Rejected without Ray, or if nobody answers."""
        try:
            import ray
        except ModuleNotFoundError:
            raise Rejected("Ray is not installed. Install Tieout with its extra: pip install tieout[ray].") from None
        if not ray.is_initialized():
            try:
                ray.init(address=self.address, log_to_driver=False)
            except ConnectionError as error:
                plain = f"No Ray cluster answers at {self.address}. Start one, or match on this machine."
                raise Rejected(plain, technical=str(error)) from None
        remote = ray.remote(match_block)
        found: list[Matched] = ray.get([remote.remote(block) for block in _largest_first(blocks)])
        return found


def _largest_first(blocks: Sequence[Block]) -> list[Block]:
    return sorted(blocks, key=lambda block: (-block.rows, block.company))
