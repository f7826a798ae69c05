"""A period from its list of checks to the sign-off, and what the books do to it afterwards."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from io import BytesIO

import pytest
from openpyxl import load_workbook
from sqlalchemy import select

from pages.workbook import workbook
from reconcile.closing import Drift
from storage import closes, mirror, users
from storage.closes import Close, Look
from storage.models import closes as closes_table
from storage.records import from_json
from storage.users import User
from sync import closing
from sync.commands import NotAllowedError, RefusedError
from tests.integration.conftest import START, Company, link
from tests.integration.test_findings import change
from tests.integration.test_rows import paid_charge, sync_and_check

on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # what both databases do alike
LAST = START.date() + timedelta(days=3)


def person(company: Company, role: str) -> User:
    with company.environment.database.write() as conn:
        user_id = users.ensure_user(conn, email=f"{role}@example.com", name=role, role=role)
    return User(id=user_id, email=f"{role}@example.com", name=role, role=role)


def looked(company: Company, last: date = LAST) -> Look:
    return closing.look(company.environment, link(company).id, last)[0]


def prepare(company: Company, seen: Look, note: str = "the payout arrives tomorrow") -> Close:
    made = closing.prepare(company.environment, person(company, "accountant"), link(company).id, seen.figures, note)
    with company.environment.database.read() as conn:
        found = closes.get(conn, made)
    assert found is not None
    return found


def sign(company: Company, close: Close, role: str = "manager") -> bool:
    return closing.sign_off(company.environment, person(company, role), close.id)


def drift(company: Company, close: Close) -> list[Drift]:
    return closing.drifts(company.environment, link(company).id, [close])[close.id]


def kept(company: Company, close: Close) -> list[Drift] | None:
    """What the last sync kept of what has changed."""
    with company.environment.database.read() as conn:
        found = conn.execute(select(closes_table.c.drift).where(closes_table.c.id == close.id)).scalar_one()
    return None if found is None else [from_json(each, Drift) for each in found]


@pytest.fixture
def closed(company: Company) -> Company:
    """A charge of 100.00 with its fee on the first day, long enough ago to be paid out."""
    paid_charge(company)
    company.pass_time(days=8)
    sync_and_check(company)
    return company


def test_a_period_is_prepared_by_one_and_signed_by_another(closed: Company) -> None:
    company, environment = closed, closed.environment
    assert all(each.state != "bad" for each in closing.look(environment, link(company).id, LAST)[1])
    seen = looked(company)
    (balance,) = seen.figures.balances
    moved = {line.name: line.amount_minor for line in seen.figures.stripe}
    assert balance.stripe_opening_minor + sum(moved.values()) == balance.stripe_closing_minor
    assert balance.difference_minor == sum(each.amount_minor for each in seen.differences)
    assert sum(fee.amount_minor for fee in seen.fees) < 0

    close = prepare(company, seen)
    assert closes.is_whole(close)
    with pytest.raises(NotAllowedError, match="manager"):
        sign(company, close, "accountant")
    assert sign(company, close)
    assert not sign(company, close, "admin"), "somebody was quicker"
    assert closing.next_first(environment, link(company).id) == LAST + timedelta(days=1)
    assert drift(company, close) == []
    with pytest.raises(RefusedError, match="begins on"):
        looked(company)


@on_sqlite
def test_whoever_prepared_it_signs_only_if_nobody_else_may(closed: Company) -> None:
    company, manager = closed, person(closed, "manager")
    made = closing.prepare(company.environment, manager, link(company).id, looked(company).figures, "alone")
    person(company, "admin")
    with pytest.raises(RefusedError, match="somebody else"):
        closing.sign_off(company.environment, manager, made)
    with company.environment.database.write() as conn:
        for other in users.everybody(company.environment.database, company.environment.clock.now()):
            if other.user.id != manager.id:
                users.change(conn, other.user.id, left_at=company.environment.clock.now())
    assert closing.sign_off(company.environment, manager, made)


def test_what_changes_after_the_sign_off_is_named_and_opened_again_with_a_reason(closed: Company) -> None:
    company = closed
    close = prepare(company, looked(company))
    assert sign(company, close)
    (fee,) = company.ours("Purchase")
    change(company, "Purchase", fee, TxnDate=(LAST + timedelta(days=1)).isoformat())
    company.sync()
    found = drift(company, close)
    assert [(each.what, each.name, each.now_minor) for each in found] == [
        ("clearing", f"purchase:{fee['Id']}", None),
    ], "it is dated after the period now"
    assert found[0].was_minor == -round(Decimal(str(fee["TotalAmt"])) * 100)
    assert kept(company, close) == found

    manager, environment = person(company, "manager"), company.environment
    with pytest.raises(RefusedError, match="Say why"):
        closing.reopen(environment, manager, close.id, "  ")
    assert closing.reopen(environment, manager, close.id, "the fee was re-dated")
    again = prepare(company, looked(company))
    assert again.pack.figures != close.pack.figures
    assert sign(company, again)
    assert drift(company, again) == []
    states = {each.id: each.state for each in closes.heads(environment.database, link(company).id)}
    assert states == {close.id: "reopened", again.id: "signed"}, "what was signed is kept"


@on_sqlite
def test_what_is_kept_of_changes_is_found_anew_when_a_document_leaves_the_period(closed: Company) -> None:
    """Nothing else happens on its day, and nothing of ours says where it was."""
    company = closed
    accounts = {each["Name"]: each["Id"] for each in company.books("Account")}
    body = {"FromAccountRef": {"value": accounts["Stripe clearing"]}, "ToAccountRef": {"value": accounts["Checking"]}}
    typed = company.qbo.create("Transfer", body | {"Amount": 5, "TxnDate": LAST.isoformat()})
    sync_and_check(company)
    close = prepare(company, looked(company))
    assert sign(company, close)
    assert kept(company, close) is None
    assert drift(company, close) == []
    company.pass_time(days=1)
    company.sync()
    assert kept(company, close) == []
    change(company, "Transfer", typed, TxnDate=(LAST + timedelta(days=1)).isoformat())
    company.sync()
    (found,) = drift(company, close)
    assert (found.name, found.was_minor, found.now_minor) == (f"transfer:{typed['Id']}", -500, None)
    assert kept(company, close) == [found]
    standing = closing.standings(company.environment, link(company).id)[close.id]
    assert (standing.is_whole, standing.drift) == (True, 1)


@on_sqlite
def test_nobody_prepares_or_signs_figures_that_have_changed_meanwhile(closed: Company) -> None:
    company, seen = closed, looked(closed)
    close = prepare(company, seen)
    (fee,) = company.ours("Purchase")
    change(company, "Purchase", fee, TxnDate=(LAST + timedelta(days=1)).isoformat())
    company.sync()
    with pytest.raises(RefusedError, match="has to be prepared again"):
        sign(company, close)
    with pytest.raises(RefusedError, match="changed since you looked"):
        prepare(company, seen)
    with pytest.raises(RefusedError, match="Say in the note"):
        prepare(company, looked(company), note=" ")


@on_sqlite
def test_periods_follow_each_other_and_end_before_today(closed: Company) -> None:
    company = closed
    for last, why in ((link(company).cutover - timedelta(days=1), "begins on"), (date(2099, 1, 31), "not over yet")):
        with pytest.raises(RefusedError, match=why):
            looked(company, last)
    first = prepare(company, looked(company))
    assert sign(company, first)
    second = prepare(company, looked(company, LAST + timedelta(days=2)))
    assert second.pack.figures.balances[0].stripe_opening_minor == first.pack.figures.balances[0].stripe_closing_minor
    assert sign(company, second)
    with pytest.raises(RefusedError, match="later period"):
        closing.reopen(company.environment, person(company, "manager"), first.id, "why not")


@on_sqlite
def test_the_workbook_computes_what_the_pack_says(closed: Company) -> None:
    seen = closing.whole(closed.environment, link(closed).id, LAST)
    book = load_workbook(BytesIO(workbook(seen)))
    assert book.sheetnames[:2] == ["Cover", "Roll-forward"]
    sheet = book["Roll-forward"]
    values: dict[int, Decimal] = {}
    for row in range(1, sheet.max_row + 1):
        cell = sheet.cell(row, 3).value
        values[row] = compute(str(cell), values) if str(cell).startswith("=") else Decimal(str(cell or 0))
    by_name = {str(sheet.cell(row, 1).value): values[row] for row in values}
    (balance,) = seen.figures.balances
    assert by_name["Stripe balance, closing"] * 100 == balance.stripe_closing_minor
    assert by_name["Clearing account, closing"] * 100 == balance.clearing_closing_minor
    assert by_name["Difference"] * 100 == balance.difference_minor
    assert by_name["Unexplained"] == 0
    listed = [row[3].value for row in book["Clearing account"].iter_rows(min_row=2)]
    assert round(sum(Decimal(str(each)) for each in listed) * 100) == sum(
        line.amount_minor for line in seen.figures.clearing
    )
    check_texts(seen)


def check_texts(seen: closes.Pack) -> None:
    """What others wrote is never computed."""
    made = closes.Odd(document_id="=1+1", dated=LAST, code="COPIED", text='=HYPERLINK("http://evil.example")')
    book = load_workbook(BytesIO(workbook(replace(seen, odd=(made,), name="=cmd"))))
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row if str(cell.value).startswith("=")]
    assert {cell.data_type for cell in cells if cell.parent.title != "Roll-forward"} == {"s"}


def compute(formula: str, values: dict[int, Decimal]) -> Decimal:
    """The few forms that the workbook uses: =SUM(C1:C4), =C4-C9, =C10-SUM(C11:C12), =C10-0."""
    total, sign = Decimal(0), 1
    for part in formula.removeprefix("=").replace("-", "+-").split("+"):
        sign, term = (-1, part[1:]) if part.startswith("-") else (1, part)
        if term.startswith("SUM("):
            first, last = (int(each.lstrip("C")) for each in term[4:-1].split(":"))
            total += sign * sum((values[row] for row in range(first, last + 1)), Decimal(0))
        else:
            total += sign * (values[int(term[1:])] if term.startswith("C") else Decimal(term))
    return total


@on_sqlite
def test_nothing_is_closed_while_quickbooks_own_balance_is_another(closed: Company) -> None:
    """A document of a kind that is not read moved the account, or one was missed."""
    company, its_link = closed, link(closed)
    assert all(each.state != "bad" for each in closing.look(company.environment, its_link.id, LAST)[1])
    account_id = its_link.mappings.clearing["USD"]
    with company.environment.database.write() as conn:
        account = mirror.load(conn, its_link.ledger_id, "account", [account_id])[account_id]
        other = replace(account, balance_minor=account.balance_minor + 1)
        mirror.store(
            conn, its_link.ledger_id, [("account", account_id, other, "{}")], at=company.clock.now(), actor="t"
        )
    bad = [each.text for each in closing.look(company.environment, its_link.id, LAST)[1] if each.state == "bad"]
    assert len(bad) == 1
    assert "QuickBooks' clearing account is at" in bad[0]
    with pytest.raises(RefusedError, match="Something red is left"):
        prepare(company, looked(company))
