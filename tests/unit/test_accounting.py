"""The accounting table says of every Stripe category what is posted, and names tests that exist."""

import re
from itertools import takewhile
from pathlib import Path

import stripe

ROOT = Path(__file__).parents[2]
LINES = (ROOT / "docs" / "ACCOUNTING.md").read_text().splitlines()
FIRST = next(number for number, line in enumerate(LINES) if line.startswith("| Stripe `reporting_category`")) + 2
TABLE = list(takewhile(lambda line: line.startswith("| "), LINES[FIRST:]))
ROWS = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in TABLE]
TESTS = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
}


def test_every_row_names_the_test_that_proves_it() -> None:
    named = {cells[0]: re.findall(r"`(test_\w+)`", cells[-1]) for cells in ROWS}
    assert [row for row, names in named.items() if not names] == []
    assert {name for names in named.values() for name in names} - TESTS == set()
    assert {len(cells) for cells in ROWS} == {4}


def test_every_reporting_category_of_stripe_has_a_row() -> None:
    text = (Path(stripe.__file__).parent / "params" / "reporting" / "_report_run_create_params.py").read_text()
    found = re.search(r"reporting_category: NotRequired\[\s*\"Literal\[([^\]]*)\]", text)
    assert found is not None
    categories = re.findall(r"'(\w+)'", found.group(1))
    patterns = [each for cells in ROWS for each in re.findall(r"`([a-z_]+\*?)`", cells[0])]
    known = [re.compile(pattern.replace("*", r"\w*")) for pattern in patterns]
    assert len(categories) > 30
    assert [each for each in categories if not any(pattern.fullmatch(each) for pattern in known)] == []
