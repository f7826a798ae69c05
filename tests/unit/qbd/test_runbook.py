"""The runbook of QuickBooks Desktop has an answer to each code a person can meet."""

import re
from pathlib import Path

import pytest

from sync.qbd import faults

TEXT = (Path(__file__).parents[3] / "docs" / "runbooks" / "quickbooks-desktop.md").read_text()
ROWS = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in TEXT.splitlines() if line.startswith("| ")]
WEB_CONNECTOR = (*range(1000, 1047), 1048)  # Intuit's appendix A names no other


@pytest.mark.parametrize("code", WEB_CONNECTOR)
def test_every_code_of_the_web_connector_is_explained(code: int) -> None:
    found = [cells for cells in ROWS if "QBWC" in cells[0] and re.search(rf"\b(QBWC)?{code}\b", cells[0])]
    assert found
    assert all(len(cells) == 3 and all(cells) for cells in found)


def test_every_failure_of_quickbooks_and_every_status_is_explained() -> None:
    first = " ".join(cells[0] for cells in ROWS)
    assert not [hresult for hresult in (*faults.CALLS, faults.MALFORMED) if hresult.lower() not in first.lower()]
    named = {int(number) for number in re.findall(r"\b(\d{3,4})\b", first)} | set(range(3010, 3071))
    known = {*faults.PLAIN, *faults.LOCKS, *faults.STALE, *faults.LATER, *faults.HALF_DONE, faults.ITERATOR_GONE}
    assert known <= named
