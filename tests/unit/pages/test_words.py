import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from pages import compare, style, words
from reconcile.records import Charge, Document
from storage.review import Candidate, Told
from storage.search import Item

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (321_000, "USD", "3,210.00 USD"),
        (-321_000, "USD", "(3,210.00) USD"),
        (0, "EUR", "0.00 EUR"),
        (-5, "USD", "(0.05) USD"),
        (1_234, "JPY", "1,234 JPY"),
        (1_234_567, "KWD", "1,234.567 KWD"),
    ],
)
def test_money(minor: int, currency: str, text: str) -> None:
    assert words.money(minor, currency) == text


@pytest.mark.parametrize(
    ("seconds", "ago", "brief"),
    [
        (0, "just now", "0 s"),
        (59, "just now", "59 s"),
        (60, "1 minute ago", "1 min"),
        (7_199, "1 hour ago", "1 h"),
        (200_000, "2 days ago", "2 d"),
        (-5, "just now", "0 s"),
    ],
)
def test_times(seconds: int, ago: str, brief: str) -> None:
    assert words.ago(NOW - timedelta(seconds=seconds), NOW) == ago
    assert words.brief(timedelta(seconds=seconds)) == brief


def test_durations() -> None:
    assert [words.clock_time(timedelta(seconds=seconds)) for seconds in (4, 74, 3_600)] == ["0:04", "1:14", "60:00"]
    assert words.clock_time(None) == ""


def test_ids() -> None:
    assert words.short("ch_1") == "ch_1"
    assert words.short("ch_3QabcdefghijklmnopqR") == "ch_3Qab…mnopqR"
    assert words.document("invoice:70", "INV-1042") == "Invoice INV-1042"
    assert words.document("journal_entry:7") == "Journal entry 7"
    assert [words.kind(each) for each in ("ch_1", "pyr_1", "po_1", "x")] == ["charge", "refund", "payout", "entry"]


def test_reasons_without_words_are_still_readable() -> None:
    assert words.reason("something_new") == "something new"
    assert words.capitalised(words.reason("refused")) == "QuickBooks refused"


def test_why_a_credit_note_waits_has_words() -> None:
    """Every reason that the rules of credit notes give, and none that they do not."""
    text = (Path(__file__).parents[3] / "reconcile" / "credit_notes.py").read_text()
    given = set(re.findall(r'(?:_wait\(note, |return )"([a-z_]+)"', text)) - {"left", "already_recorded", "in_progress"}
    assert {"credit_differs", "credited_outside", "credit_note_voided", "unknown_invoice"} <= given
    assert given - words.REASONS.keys() == set()


def test_lists() -> None:
    assert [words.listed(each) for each in ([], ["A"], ["A", "B"], ["A", "B", "C"])] == [
        "",
        "A",
        "A and B",
        "A, B and C",
    ]


def test_html_of_others_is_text() -> None:
    assert "<script>" not in style.note("<script>") + style.mark("bad", "<script>") + style.identifier(
        "<b>", "<script>"
    )


# ---- the two sides


def item(amount: int = 10_000, text: str = "for INV-7") -> Item:
    charge = Charge(
        id="ch_1",
        created_at=NOW,
        currency="USD",
        amount_minor=amount,
        captured_minor=amount,
        refunded_minor=0,
        status="succeeded",
        movement_id="txn_1",
        customer_name="Blue <Foods>",
        customer_email="ap@blue.example",
        description=text,
    )
    return Item(
        source_id="ch_1",
        currency="USD",
        amount_minor=amount,
        dated=date(2026, 11, 2),
        since=NOW,
        state="waiting",
        reason="proposed",
        detail="",
        source=charge,
    )


def candidate(document: Document | None, amount: int = 10_000) -> Candidate:
    return Candidate(
        match_id="m",
        decision="proposed",
        role="pays_invoice",
        rank=1,
        reasons=(),
        parts=((document, "invoice:7", amount),),
    )


def invoice(**values: object) -> Document:
    common = {"id": "invoice:7", "kind": "invoice", "ledger_id": "7", "version": "0", "currency": "USD"}
    own = {"amount_minor": 10_000, "open_minor": 10_000, "dated": date(2026, 10, 30), "doc_number": "INV-7"}
    return Document(**(common | own | values))  # type: ignore[arg-type]


def cues(document: Document, amount: int = 10_000) -> dict[str, tuple[str | None, str]]:
    return {line.field: (line.state, line.cue) for line in compare.compare(item(amount), candidate(document))}


def test_what_agrees_is_marked() -> None:
    found = cues(invoice(customer_name="Blue <Foods>", customer_email="AP@blue.example"))
    assert found == {
        "Amount": ("good", "equal"),
        "Date": ("good", "3 days earlier"),
        "Customer": ("good", "same"),
        "E-mail": ("good", "same"),
        "Text": ("good", "names INV-7"),
        "Ids": (None, ""),
    }


def test_what_differs_is_marked() -> None:
    found = cues(invoice(open_minor=9_000, customer_name="Red", dated=date(2026, 11, 12), doc_number="8"))
    assert found["Amount"] == ("wait", "10.00 USD apart")
    assert found["Date"] == ("wait", "10 days later")
    assert found["Customer"] == ("wait", "differs")
    assert found["E-mail"] == (None, "")
    assert found["Text"] == (None, "")
    assert cues(invoice(open_minor=12_000))["Amount"] == ("wait", "(20.00) USD apart")
    assert cues(invoice(currency="EUR"))["Amount"] == ("bad", "other currency")


def test_what_the_customer_paid_is_compared_in_its_own_currency() -> None:
    settled = replace(item(), currency="GBP", amount_minor=8_000)
    [line] = [line for line in compare.compare(settled, candidate(invoice())) if line.field == "Amount"]
    assert (line.state, line.cue) == ("good", "equal")
    assert "of 100.00 USD paid" in line.left


def test_a_document_that_is_gone_is_said_to_be() -> None:
    lines = {line.field: line for line in compare.compare(item(), candidate(None))}
    assert lines["Amount"].right == "Invoice 7 is gone"
    assert lines["Amount"].state is None
    assert compare.title(candidate(None)) == "Invoice 7"


def test_what_each_field_told_stands_in_its_line() -> None:
    told = [("amount", "equal", 9_000), ("customer name", "weak", -1_600), ("reference", "equal", 30_000)]
    found = tuple(
        Told(ledger_id="invoice:7", field=field, level=level, weight=weight, competitors=2)
        for field, level, weight in told
    )
    offered = replace(candidate(invoice()), told=found, probability_ppm=997_123)
    weights = {line.field: line.weight for line in compare.compare(item(), offered)}
    assert "512 times likelier" in weights["Amount"]
    assert "3.0 times less likely" in weights["Customer"]
    assert "customer name: weak" in weights["Customer"]
    assert "settles it" in weights["Text"]
    assert not weights["Date"]
    assert compare.likelihood(offered) == "99.7 % likely, 2 others compared"
    assert compare.likelihood(candidate(invoice())) == ""
    assert [words.chance(ppm) for ppm in (5_000, 290_000, 999_999)] == ["less than 1 %", "29 %", "99.99 %"]


def test_names_are_escaped() -> None:
    lines = {line.field: line for line in compare.compare(item(), candidate(invoice(customer_name="<i>x")))}
    assert (lines["Customer"].left, lines["Customer"].right) == ("Blue &lt;Foods&gt;", "&lt;i&gt;x")
