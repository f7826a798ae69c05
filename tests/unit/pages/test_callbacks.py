"""Clicks that follow at once: none breaks off what the one before began, or says what nobody chose."""

from functools import partial

from streamlit.testing.v1 import AppTest

from pages import callbacks
from storage import connections
from storage.engine import Database
from sync import mapping
from tests import factories
from tests.unit.pages.test_pages import context, draw


def page() -> None:
    import streamlit as st
    from streamlit.runtime.scriptrunner import RerunData, get_script_run_ctx

    def act() -> None:
        running = get_script_run_ctx()
        assert running is not None
        assert running.script_requests is not None
        running.script_requests.request_rerun(RerunData())  # somebody clicked on while this was being done
        st.session_state["said"] = "Done."

    st.button("Do it", on_click=act)
    st.write(st.session_state.get("said", "Nothing yet."))


def test_a_callback_runs_to_its_end_while_somebody_clicks_on() -> None:
    callbacks.run_whole()
    callbacks.run_whole()
    test = AppTest.from_function(page).run()
    test.button[0].click().run()
    assert test.session_state["said"] == "Done."
    assert test.markdown[0].value == "Done."


def test_a_box_that_shows_what_was_stored_before_chooses_nothing(demo: Database) -> None:
    """Somebody creates what is missing and clicks on, before the browser shows all that was chosen with it."""
    shown = context(demo)
    choose = partial(mapping.choose, shown.environment, shown.user, 1)
    choose({"bank:USD": None})
    test = draw("mapping", shown)
    of_before = test._tree.get_widget_states()
    choose({"bank:USD": factories.BANK})
    test.run()
    test._run(of_before)
    assert bank(demo) == {"USD": factories.BANK}
    box = next(each for each in test.selectbox if each.label == "Bank account of the payouts, USD")
    box.select("").run()
    assert bank(demo) == {}, "what is chosen is stored"


def bank(database: Database) -> dict[str, str]:
    with database.read() as conn:
        return dict(connections.link(conn, 1).mappings.bank)
