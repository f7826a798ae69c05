"""The page Rules: a draft, what it would change, and only then saving."""

from streamlit.testing.v1 import AppTest

from pages import rules
from storage import chart
from storage.engine import Database
from tests import factories
from tests.unit.pages.test_pages import NOW, context, press, said


def draw(database: Database, role: str = "accountant") -> AppTest:
    def script(render, context):  # type: ignore[no-untyped-def]
        render(context)

    test = AppTest.from_function(script, default_timeout=30, args=(rules.render, context(database, role)))
    return test.run()


def test_rules_are_tried_before_they_are_saved(sqlite_database: Database) -> None:
    seeded = factories.seed_company(sqlite_database, NOW)
    test = draw(sqlite_database)
    assert "These rules are in force" in said(test)
    test.text_input(key="rule-currency").input("usd")
    test.selectbox(key="rule-how").select("unapplied_payment")
    press(test, "Add to the draft")
    assert "1. paid in USD → without an invoice it becomes a credit of its customer" in said(test)
    assert test.button(key="save-rules").disabled
    press(test, "Show what would change")
    assert "What is posted already stays as it is." in said(test)
    press(test, "Look back over so many days")
    assert "The last 30 days, as if nothing of them had been decided yet" in said(test)
    assert not test.button(key="save-rules").disabled
    assert chart.view(sqlite_database, seeded.link_id).mappings.rules == ()
    test.text_input(key="rule-patterns").input("INV-#")
    press(test, "Take into the draft")
    assert test.button(key="save-rules").disabled, "another draft is to be tried first"
    press(test, "Show what would change")
    press(test, "Save the rules")
    assert test.toast[0].value.startswith("Saved.")
    view = chart.view(sqlite_database, seeded.link_id)
    assert [rule.how for rule in view.mappings.rules] == ["unapplied_payment"]
    assert view.policies.matching.reference_patterns == ("INV-#",)
    press(test, "Remove")
    press(test, "Discard the changes")
    assert "These rules are in force" in said(test)


def test_who_may_not_change_rules_sees_them(sqlite_database: Database) -> None:
    factories.seed_company(sqlite_database, NOW)
    test = draw(sqlite_database, "reviewer")
    assert all(each.disabled for each in (*test.number_input, *test.text_input, *test.multiselect))
    assert "Add a rule" not in [each.label for each in test.expander]
