"""Matching is pure and takes as long as all the rest: what was asked before is answered from memory."""

from typing import Any
from unittest.mock import patch

import polars as pl

from sync import deciding

MATCH, KNOWN_MAX = deciding.match, 2_000


class KnownMatches:
    """Answers of the matcher. Whether they still are the matcher's is looked at now and then, by a test."""

    def __init__(self) -> None:
        self._answers: dict[str, Any] = {}
        self.hits = 0

    def match(self, *frames: Any) -> Any:
        asked = repr([each.rows() if isinstance(each, pl.DataFrame) else each for each in frames])
        if asked not in self._answers:
            if len(self._answers) >= KNOWN_MAX:
                self._answers.clear()
            self._answers[asked] = MATCH(*frames)
        else:
            self.hits += 1
        return self._answers[asked]

    def planted(self) -> Any:
        """A context in which the worker asks here."""
        return patch.object(deciding, "match", self.match)
