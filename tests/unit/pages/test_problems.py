"""Problems: causes in plain words, their records, and the click that mends them; a look before anything is done."""

from datetime import timedelta
from typing import get_args

import pytest
from sqlalchemy import select
from streamlit.testing.v1 import AppTest

from pages import again, causes
from pages.again import about, done, frame
from storage import again as scopes
from storage import problem_records, problems, runs
from storage.again import Asked, Change, Found, Scope
from storage.engine import Database
from storage.models import outbox
from storage.problems import Cause, Kind
from storage.records import to_json
from tests import factories
from tests.unit.pages.test_pages import NOW, context, draw, own_main, press, said

__all__ = ["own_main"]  # a fixture


def test_a_refused_posting_is_shown_with_its_record_and_tried_again(demo: Database) -> None:
    shown = context(demo, role="accountant")
    test = draw("problems", shown)
    assert "1 cause to be mended. 1 record waits for it." in said(test)
    assert "✕ QuickBooks refused this: the account Stripe fees was deleted." in said(test)
    (cause,) = problems.causes(demo, 1, NOW)
    (record,) = problem_records.records(demo, 1, cause, NOW).rows
    assert not test.dataframe, "what is folded away is not sent"

    test = draw("problems", shown, cause=cause.id, record=record.row_id)
    assert test.dataframe[0].value["Record"].tolist() == [record.object_id]
    assert "6540" not in said(test), "the technical detail is folded away"
    press(test, "Try 1 posting again")
    assert test.toast[0].value == "They are tried again by the sync that begins now."
    assert "Nothing has failed. Last synced" in said(test)
    with demo.read() as conn:
        assert conn.execute(select(outbox.c.state).where(outbox.c.id == int(record.row_id))).scalar() == "planned"


def test_a_viewer_sees_all_and_may_do_nothing(demo: Database) -> None:
    (cause,) = problems.causes(demo, 1, NOW)
    (record,) = problem_records.records(demo, 1, cause, NOW).rows
    test = draw("problems", context(demo, role="viewer"), cause=cause.id, record=record.row_id)
    assert {button.label for button in test.button if not button.disabled} == set()
    draw("problems", context(demo), cause="mapping:nonsense", record="x", page="-1")


def test_what_a_look_found_is_shown_before_it_is_done(demo: Database) -> None:
    shown = context(demo)
    press(draw("problems", shown), "Show what these days would change")
    asked = scopes.latest(demo, 1)
    assert asked is not None
    assert asked.scope == Scope(since=NOW.date() - timedelta(days=6), until=NOW.date())
    assert "Looking at what would change: 27 Oct 2026 to 2 Nov 2026." in said(draw("syncs", shown))

    change = Change(kind="charge", id="ch_1", what="changed", fields=("refunded_minor",))
    found = Found(read=40, counts=(("changed", "charge", 1),), changes=(change,), retried=1, kept=12)
    with demo.write() as conn:
        run = runs.take(conn, NOW, 60)
        assert run is not None
        runs.finish(conn, run, counts={}, at=NOW, found=to_json(found))
    test = draw("problems", shown)
    assert (
        "27 Oct 2026 to 2 Nov 2026: of 40 objects read, 1 changed. 1 refused posting would be tried again. "
        "12 documents in QuickBooks stay as they are."
    ) in said(test)
    press(test, "Do it")
    newest = scopes.latest(demo, 1)
    assert newest is not None
    assert (newest.kind, newest.scope, newest.found) == ("again", asked.scope, None)


def test_one_record_is_looked_at_by_its_id(demo: Database) -> None:
    test = draw("syncs", context(demo))
    test.text_input(key="again-id").input("ch_3Qtide000000000000").run()
    press(test, "Show what this record would change")
    asked = scopes.latest(demo, 1)
    assert asked is not None
    assert asked.scope.objects == (("charge", "ch_3Qtide000000000000"),)
    test.text_input(key="again-id").input("nonsense").run()
    press(test, "Show what this record would change")
    assert "Nothing is known of “nonsense”" in test.toast[0].value


def test_mapping_opens_at_the_role(demo: Database) -> None:
    def labels(test: AppTest) -> list[str]:
        return [box.label for box in test.selectbox]

    plain = labels(draw("mapping", context(demo)))
    at_role = labels(draw("mapping", context(demo), role="fees:stripe_fee"))
    assert at_role[0] == "Stripe's fees"
    assert sorted(at_role) == sorted(plain), "each once"
    assert labels(draw("mapping", context(demo), role="closed_period"))[0].startswith("What belongs to a period")
    assert labels(draw("mapping", context(demo), role="nonsense")) == plain


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_cause_has_words(kind: Kind) -> None:
    cause = Cause(kind=kind, key="2", text="What happened.", count=2, oldest=NOW)
    assert causes.title(cause, "Stripe")
    assert causes.advice(cause).endswith(".")
    assert causes.state(cause) in ("bad", "wait", "info")


def test_what_a_sync_again_did_is_said() -> None:
    scope = Scope(objects=(("charge", "ch_1"), ("charge", "ch_2")))
    asked = Asked(
        run_id=1, kind="again", state="done", cause="", scope=scope, found=None, counts={"fetched": 0}, problem=None,
        finished_at=NOW,
    )  # fmt: skip
    assert (about(scope), done(asked)) == ("ch_1 and ch_2", "nothing has changed.")
    assert again.said(Found(read=3)) == "of 3 objects read, none has changed. Nothing would change."
    assert frame(Found(changes=(Change(kind="charge", id="x", what="new"),)))["Change"].to_list() == ["new"]


def test_a_company_without_trouble_says_where_to_go(sqlite_database: Database) -> None:
    factories.seed_link(sqlite_database, NOW)
    assert "Nothing has failed: nothing was synced so far." in said(draw("problems", context(sqlite_database)))
