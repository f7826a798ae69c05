"""What waits for a second person stands on Review: for the one who asked to withdraw, for another one to approve."""

from dataclasses import replace

from storage import approvals, connections, review, search
from storage.engine import Database
from storage.records import to_json
from storage.search import Filter
from tests import factories
from tests.unit.pages.test_pages import NOW, context, draw, press, said


def test_one_asks_and_another_one_approves(sqlite_database: Database) -> None:
    seeded = factories.seed_company(sqlite_database, NOW)
    with sqlite_database.write() as conn:
        policies = replace(connections.link(conn, seeded.link_id).policies, approval_limits={"USD": 100})
        connections.change_link(conn, seeded.link_id, policies=to_json(policies))
    first, *_ = search.page(sqlite_database, seeded.link_id, Filter(reason="PARTIAL")).items
    test = draw("review", context(sqlite_database, "accountant"), reason="PARTIAL")
    press(test, "Accept")
    assert "waits for a second person's yes" in test.toast[0].value
    assert review.standing(sqlite_database, seeded.link_id, first.source_id) == ()
    (asked,) = approvals.waiting(sqlite_database, seeded.link_id)
    own = draw("review", context(sqlite_database, "accountant"), item=first.source_id)
    assert "You asked just now" in said(own)
    assert "You asked: Match to Invoice 1113. It waits for a second person." in said(own)
    assert own.button(key=f"approve-{asked.id}").disabled
    assert own.button(key=f"decline-{asked.id}").label == "Withdraw…"
    assert draw("review", context(sqlite_database, "reviewer")).button(key=f"approve-{asked.id}").disabled
    other = draw("review", context(sqlite_database, "manager"))
    assert "accountant@example.com asked just now" in said(other)
    press(other, "Approve")
    assert other.toast[0].value == "Approved. The next sync carries it out."
    [stored] = review.standing(sqlite_database, seeded.link_id, first.source_id)
    assert (stored.decision.kind, stored.decision.actor) == ("match", "accountant@example.com")
    assert approvals.waiting(sqlite_database, seeded.link_id) == []


def test_only_a_manager_sets_the_limit(sqlite_database: Database) -> None:
    seeded = factories.seed_company(sqlite_database, NOW)
    assert draw("mapping", context(sqlite_database, "accountant")).text_input(key="limit-approval-USD").disabled
    test = draw("mapping", context(sqlite_database, "manager"))
    test.text_input(key="limit-approval-USD").input("1,500.00").run()
    assert test.toast[0].value.startswith("Saved.")
    with sqlite_database.read() as conn:
        assert connections.link(conn, seeded.link_id).policies.approval_limits == {"USD": 150_000}
    next(box for box in test.text_input if box.value == "1500.00").input("").run()
    with sqlite_database.read() as conn:
        assert connections.link(conn, seeded.link_id).policies.approval_limits == {}
