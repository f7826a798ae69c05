"""Tests that documents name exist: whoever renames one hears of it."""

import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = ["docs/ACCOUNTING.md", "docs/RELIABILITY.md", "docs/THREATS.md", "tests/contract/README.md"]
FUNCTIONS: dict[str, set[str]] = defaultdict(set)  # by file; several folders may have one of a name
for path in (ROOT / "tests").rglob("test_*.py"):
    FUNCTIONS[path.stem].update(re.findall(r"^\s*(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE))
ALL = {name for names in FUNCTIONS.values() for name in names}


def is_there(named: str) -> bool:
    """A function, a file with or without `.py`, `file::function`, or the beginning of one, ending in `...`."""
    file, _, function = named.partition("[")[0].removesuffix(".py").rpartition("::")
    known = FUNCTIONS.get(file, set()) if file else ALL | set(FUNCTIONS)
    if function.endswith("..."):
        return any(each.startswith(function.removesuffix("...")) for each in known)
    return function in known


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_test_that_is_named_exists(document: str) -> None:
    named = re.findall(r"`(?:[\w/]+/)?(test_[\w:.\[\]-]+)`", (ROOT / document).read_text())
    assert len(named) > 40
    assert [each for each in named if not is_there(each)] == []


def test_one_that_is_gone_is_found() -> None:
    assert not is_there("test_traps::test_a_company_of_one_currency_is_never_told_of_another_one")
    assert not is_there("test_nothing_like_this")
    assert is_there("test_traps::test_amounts_are_decimals_and_never_strings")
