"""The accounting table says of every Stripe category what is posted, and names tests that exist."""

import re
from itertools import takewhile
from pathlib import Path

import stripe

from sync.stripe.events import EVENT_TYPES
from tests.unit.reconcile.test_plan import decide, movement, reasons, snapshot

ROOT = Path(__file__).parents[2]
LINES = (ROOT / "docs" / "ACCOUNTING.md").read_text().splitlines()
FIRST = next(number for number, line in enumerate(LINES) if line.startswith("| Stripe `reporting_category`")) + 2
TABLE = list(takewhile(lambda line: line.startswith("| "), LINES[FIRST:]))
ROWS = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in TABLE]
EVENTS = next(number for number, line in enumerate(LINES) if line.startswith("| Stripe event |")) + 2
EVENT_ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in takewhile(lambda line: line.startswith("| "), LINES[EVENTS:])
]
TESTS = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
}


def test_every_row_names_the_test_that_proves_it() -> None:
    named = {cells[0]: re.findall(r"`(test_\w+)`", cells[-1]) for cells in ROWS}
    named |= {cells[0]: re.findall(r"`(test_\w+)`", cells[-1]) for cells in EVENT_ROWS}
    assert [row for row, names in named.items() if not names] == []
    assert {name for names in named.values() for name in names} - TESTS == set()
    assert {len(cells) for cells in (*ROWS, *EVENT_ROWS)} == {4}


def test_every_event_we_listen_to_has_one_row_and_the_others_of_its_family_a_reason() -> None:
    listed = [each for cells in EVENT_ROWS for each in re.findall(r"`([a-z_.]+)`", cells[0])]
    assert sorted(listed) == sorted(EVENT_TYPES)
    text = (Path(stripe.__file__).parent / "_event.py").read_text()
    all_of_stripe = set(re.findall(r'"((?:[a-z_]+\.)+[a-z_]+)"', text))
    assert len(all_of_stripe) > 200
    assert set(EVENT_TYPES) <= all_of_stripe
    families = {each.partition(".")[0] for each in EVENT_TYPES}
    ours = {each for each in all_of_stripe if each.partition(".")[0] in families} - set(EVENT_TYPES)
    left = " ".join(LINES[EVENTS + len(EVENT_ROWS) :])
    assert [each for each in ours if f"`{each}`" not in left and f"`{each.rpartition('.')[0]}.*`" not in left] == []


def categories() -> list[str]:
    """All that Stripe's library knows of."""
    text = (Path(stripe.__file__).parent / "params" / "reporting" / "_report_run_create_params.py").read_text()
    found = re.search(r"reporting_category: NotRequired\[\s*\"Literal\[([^\]]*)\]", text)
    assert found is not None
    return re.findall(r"'(\w+)'", found.group(1))


def names(rows: list[list[str]], category: str) -> bool:
    """Whether the first cells name a category, in full or by its beginning."""
    patterns = [each for cells in rows for each in re.findall(r"`([a-z_]+\*?)`", cells[0])]
    return any(re.fullmatch(pattern.replace("*", r"\w*"), category) for pattern in patterns)


def test_every_reporting_category_of_stripe_has_a_row() -> None:
    assert len(categories()) > 30
    assert [each for each in categories() if not names(ROWS, each)] == []


def test_what_the_table_says_waits_does_and_nothing_else() -> None:
    (listed,) = [cells for cells in ROWS if "whatever Stripe adds next" in cells[0]]
    for category in [*categories(), "added_next"]:
        found = decide(snapshot([movement("txn_1", "x_1", -500, 0, category)], []))
        waits = set(reasons(found).values()) == {"unmapped_category"}
        assert waits == (names([listed], category) or category == "added_next"), category
