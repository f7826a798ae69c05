"""What others write is text wherever it goes: in a query, in qbXML, in a spreadsheet."""

import ast
import csv
import io
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from pages.tables import CELL_RISK, as_csv
from reconcile.postings import Posting, PostingLine
from storage import audit_view, search
from storage.engine import Database
from storage.trace import trace
from sync.qbd import wire
from tests import factories

ROOT = Path(__file__).parents[2]
OUR_OWN = ["f\"PRAGMA query_only={('OFF' if writes else 'ON')}\"", "'BEGIN IMMEDIATE' if writes else 'BEGIN'"]
NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
WORDS = ("' OR 1=1 --", "'; DROP TABLE mirror; --", '" OR ""="', "%", "\\", "\\'", "ch_%", "zz\x00",
         "x' UNION SELECT 1", "${7*7}", "0x27", "a" * 10_000)  # fmt: skip


def test_no_query_is_put_together_of_texts() -> None:
    """SQLAlchemy binds what it is given; so its raw `text` gets constants only, and nobody else runs SQL."""
    calls = [
        (path.name, call)
        for path in (ROOT / "storage").rglob("*.py")  # nobody else knows SQL: the import rules hold that
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and getattr(call.func, "attr", getattr(call.func, "id", "")) in ("text", "exec_driver_sql", "executescript")
        and isinstance(call.func, ast.Name | ast.Attribute)
        and not (isinstance(call.func, ast.Attribute) and call.func.attr == "text")
    ]
    assert len(calls) > 5
    made = [call.args[0] for _, call in calls if not isinstance(call.args[0], ast.Constant | ast.Name)]
    assert [ast.unparse(each) for each in made] == OUR_OWN


def test_what_a_person_searches_for_is_only_compared(sqlite_database: Database) -> None:
    seeded = factories.seed_company(sqlite_database, NOW)
    for word in WORDS:
        assert search.page(sqlite_database, seeded.link_id, search.Filter(text=word)).items == (), word
        for wanted in (audit_view.Filter(text=word), audit_view.Filter(subject=word), audit_view.Filter(actor=word)):
            found = audit_view.page(sqlite_database, seeded.link_id, wanted, before=None, after=None, size=10)
            assert found.entries == (), word
        with sqlite_database.read() as conn:
            assert "ch_" not in " ".join(trace(conn, word)).replace(word, "")
    assert search.page(sqlite_database, seeded.link_id, search.Filter()).items, "all is still there"


TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)


@given(TEXT, TEXT, TEXT)
def test_qbxml_keeps_its_form_whatever_stands_in_it(memo: str, description: str, reference: str) -> None:
    def built(memo: str, description: str, reference: str) -> Any:
        line = PostingLine(amount_minor=320, account_id="80000014-1", description=description)
        posting = Posting(
            marker="txn_1:fee:r1:s1", kind="purchase", dated=date(2026, 11, 1), currency="USD", amount_minor=320,
            account_id="80000013-1", memo=memo, reference=reference, lines=(line,),
        )  # fmt: skip
        return etree.fromstring(wire.write_body(posting, "s0").encode())

    plain, hostile = built("x", "x", "x"), built(memo, description, reference)
    optional = {"RefNumber"} | ({"Memo"} if not description else set())
    tags = [[each.tag for each in root.iter() if each.tag not in optional] for root in (plain, hostile)]
    if description:
        assert tags[0] == tags[1]
    assert "[tieout txn_1:fee:r1:s1]" in (hostile.findtext(".//CheckAdd/Memo") or "")


@given(st.lists(st.one_of(TEXT, st.sampled_from(("=1+1", "\t=1", " =1", "@x", "-1+cmd|x", "+1", "\r=1"))), min_size=1))
def test_no_cell_of_an_export_begins_a_formula(values: list[str]) -> None:
    rows = list(
        csv.reader(io.StringIO(as_csv(pl.DataFrame({"text": values, "amount": [1] * len(values)})), newline=""))
    )
    assert len(rows) == len(values) + 1
    for row, value in zip(rows[1:], values, strict=True):
        assert not row[0].lstrip().startswith(CELL_RISK)
        assert row[0].removeprefix("'") == value or row[0] == value
