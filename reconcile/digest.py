"""Digests of the matcher's inputs, so that a block that has not changed need not be matched again."""

from collections import defaultdict
from hashlib import sha256

import polars as pl


def block_digests(processor: pl.DataFrame, ledger: pl.DataFrame) -> dict[tuple[str, str], str]:
    """SHA-256 of the rows of each (company, currency), from canonical frames: equal rows give equal digests."""
    blocks: dict[tuple[str, str], list[bytes]] = defaultdict(list)
    for side, frame in (("processor", processor), ("ledger", ledger)):
        keys = frame.select("company", "currency").rows()
        lines = frame.select(pl.struct(pl.all()).struct.json_encode()).to_series()
        for key, line in zip(keys, lines, strict=True):
            blocks[key].append(f"{side}{line}\n".encode())
    return {key: sha256(b"".join(rows)).hexdigest() for key, rows in sorted(blocks.items())}
