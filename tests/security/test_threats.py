"""Every line of docs/THREATS.md names tests that exist (`test_named_tests`), and it names all of ours."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "THREATS.md").read_text()
ROWS = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in TEXT.splitlines() if line.startswith("| ")]
ROWS = [cells for cells in ROWS if cells[0] != "threat"]


def test_every_threat_has_its_tests() -> None:
    assert len(ROWS) > 30
    assert [cells[0] for cells in ROWS if len(cells) != 3 or not re.search(r"`test_\w+`", cells[2])] == []


def test_every_test_of_ours_stands_against_a_threat() -> None:
    ours = {
        name
        for path in (ROOT / "tests" / "security").glob("test_*.py")
        if path.name != "test_threats.py"
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    assert ours - set(re.findall(r"`(test_\w+)`", TEXT)) == {
        "test_a_fraction_is_exact", "test_an_event_that_cannot_be_stored_is_refused",
    }  # fmt: skip
