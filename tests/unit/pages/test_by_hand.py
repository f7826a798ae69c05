"""Matching by hand on Review: the difference stands on top, and is explained before it can be confirmed."""

from dataclasses import replace

from streamlit.testing.v1 import AppTest

from pages import by_hand
from pages.deciding import Desk
from storage import connections, review, search
from storage.engine import Database
from storage.records import to_json
from storage.search import Filter
from tests import factories
from tests.unit.pages.test_pages import NOW, context, draw, press, said


def form(database: Database, link_id: int, source_id: str) -> AppTest:
    """The question by itself: AppTest closes a dialog with the next click in it."""

    def script(render, desk):  # type: ignore[no-untyped-def]
        render(desk)

    detail = review.detail(database, link_id, source_id)
    assert detail is not None
    desk = Desk(context=context(database, role="accountant"), link_id=link_id, detail=detail, after="")
    return AppTest.from_function(script, default_timeout=30, args=(by_hand.form, desk)).run()


def test_what_is_missing_is_explained_before_it_can_be_confirmed(sqlite_database: Database) -> None:
    seeded = factories.seed_company(sqlite_database, NOW)
    with sqlite_database.write() as conn:
        link = connections.link(conn, seeded.link_id)
        mappings = replace(link.mappings, accounts={**link.mappings.accounts, "write_offs": "81"})
        policies = replace(link.policies, short_limits={"USD": 1_000})
        connections.change_link(conn, link.id, mappings=to_json(mappings), policies=to_json(policies))
    first, *_ = search.page(sqlite_database, seeded.link_id, Filter(reason="PARTIAL")).items
    test = form(sqlite_database, seeded.link_id, first.source_id)
    assert "Difference 10.00 USD missing. Say how that comes." in said(test)
    assert test.button(key="match-by-hand").disabled
    test.radio(key=f"missing-{first.source_id}").set_value("write_off").run()
    assert "the invoice is closed, 10.00 USD of it against that account" in said(test)
    press(test, "Match")
    [stored] = review.standing(sqlite_database, seeded.link_id, first.source_id)
    (part,) = stored.decision.parts
    assert (part.ledger_id, part.short_minor, part.short_as) == ("invoice:113", 1_000, "write_off")
    assert "the rest written off" in said(draw("review", context(sqlite_database), item=first.source_id))


def test_a_reviewer_may_only_leave_it_open_and_a_viewer_nothing(sqlite_database: Database) -> None:
    factories.seed_company(sqlite_database, NOW)
    test = draw("review", context(sqlite_database, role="reviewer"), reason="PARTIAL")
    press(test, "Match to others…")
    (radio,) = test.radio
    assert radio.options == ["It is still owed: it stays open on the invoice"]
    assert "Up to 5.00 USD can be closed as a fee or written off; see Mapping." in said(test)
    viewer = draw("review", context(sqlite_database, role="viewer"), reason="PARTIAL")
    assert [each.disabled for each in viewer.button if each.label == "Match to others…"] == [True]
