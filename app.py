"""The browser app, in two roles. Run or imported by a server, this file makes the server; Streamlit then runs the same
file once for each view of a page, to draw it.

TIEOUT_DATA_DIR, DATABASE_URL, TIEOUT_DEMO and TIEOUT_HOST: see sync.environment. TIEOUT_PORT: where to listen.
TIEOUT_INTERVAL_S: seconds between scheduled syncs. TIEOUT_SINGLE=1: hooks and worker run in this process too.
"""

import gc
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from functools import partial
from importlib import import_module
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pages import (
    audit,
    callbacks,
    chrome,
    close,
    connections,
    dry_run,
    files,
    go_live,
    mapping,
    overview,
    payouts,
    people,
    problems,
    review,
    rules,
    sending,
    style,
    syncs,
)
from pages.context import Context
from storage import queries, sending_view, users
from storage.problems import causes as causes_of
from storage.queries import LinkView
from sync import callback, commands, gate, provider
from sync.environment import Environment, shared_environment

ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Crect width='32' height='32' "
    "rx='7' fill='%231f6f54'/%3E%3Cpath d='M8 12h16M8 20h16' stroke='white' stroke-width='3' "
    "stroke-linecap='round'/%3E%3C/svg%3E"
)
LOGO = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 128 32' width='128' height='32'>"
    "<rect width='32' height='32' rx='7' fill='#1f6f54'/><path d='M8 12h16M8 20h16' stroke='white' stroke-width='3' "
    "stroke-linecap='round'/><text x='42' y='22' font-family='system-ui, sans-serif' font-size='19' font-weight='650' "
    "fill='#2b8a69'>Tieout</text></svg>"
)
SIDEBAR_PX = 200
LINK = "link"

# Streamlit's look, tightened; fonts of the system, so that no request leaves the machine.
LIGHT = {
    "primaryColor": "#1f6f54",
    "backgroundColor": "#ffffff",
    "secondaryBackgroundColor": "#f4f5f4",
    "textColor": "#1d2126",
    "borderColor": "#dcdfe3",
    "linkColor": "#1f5fb8",
    "sidebar.backgroundColor": "#f6f7f6",
    "sidebar.secondaryBackgroundColor": "#e9ebe9",
}
DARK = {
    "primaryColor": "#2f8f6c",
    "backgroundColor": "#14171b",
    "secondaryBackgroundColor": "#1e2228",
    "textColor": "#e4e7eb",
    "borderColor": "#343a42",
    "linkColor": "#79aef5",
    "sidebar.backgroundColor": "#101317",
    "sidebar.secondaryBackgroundColor": "#1e2228",
}
THEME = {
    "font": "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif",
    "codeFont": "ui-monospace, 'SF Mono', Menlo, Consolas, monospace",
    "baseFontSize": 14,
    "baseRadius": "4px",
    "paddingTop": "0.5rem",
    "paddingBottom": "2rem",
    **{f"light.{name}": value for name, value in LIGHT.items()},
    **{f"dark.{name}": value for name, value in DARK.items()},
}


def config() -> dict[str, Any]:
    """Streamlit's settings. They are here rather than in a file because the file would not be in the package."""
    return {
        "server.address": os.environ.get("TIEOUT_HOST", "127.0.0.1"),
        "server.port": int(os.environ.get("TIEOUT_PORT", "8501")),
        "server.headless": True,
        "server.showEmailPrompt": False,
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "logger.hideWelcomeMessage": True,
        "logger.enableRich": False,
        "runner.fastReruns": False,  # with it, a click that follows at once drops the one before, callback and all
        "runner.postScriptGC": False,  # a full collection after each view took 95 % of the time
        **{f"theme.{name}": value for name, value in THEME.items()},
    }


# ---- drawing a page


def draw() -> None:
    """One view of one page."""
    environment = shared_environment()
    st.set_page_config(page_title="Tieout", page_icon=ICON, layout="wide", initial_sidebar_state=SIDEBAR_PX)
    token = st.context.cookies.get(gate.cookie_name(environment.database))
    user = gate.find_user(environment.database, environment.clock, token)
    if user is None:  # the gate let the browser in, but the session has ended since, or somebody signed out
        st.html(style.SHEET + style.note("You are signed out."))
        chrome.leave(gate.SIGN_IN)
        st.stop()
    st.logo(LOGO, size="medium")
    links = queries.links(environment.database)
    link = _choose(links)
    waiting = queries.count_review(environment.database, link.id) if link else 0
    unsent = sending_view.count_waiting(environment.database, link.id) if link else 0
    now = environment.clock.now()
    failed = len(causes_of(environment.database, link.id, now)) if link else 0
    pages: dict[str, Any] = {}
    context = Context(
        environment=environment,
        database=environment.database,
        clock=environment.clock,
        user=user,
        now=now,
        links=tuple(links),
        link=link,
        pulse=queries.pulse(environment.database, link.id) if link else None,
        waiting=waiting,
        interval_s=int(os.environ.get("TIEOUT_INTERVAL_S", "0")) or None,
        session=users.digest(token or ""),
        pages=pages,
    )
    of_files = link is not None and link.mode == "files"  # nothing is posted there, so there is nothing to set up
    work = [
        _page(overview.render, context, "Overview", "overview", default=True),
        _page(review.render, context, f"Review {waiting:,}" if waiting else "Review", "review"),
        _page(problems.render, context, f"Problems {failed:,}" if failed else "Problems", "problems"),
        _page(payouts.render, context, "Payouts", "payouts"),
        _page(sending.render, context, f"To Stripe {unsent:,}" if unsent else "To Stripe", "sending", hidden=of_files),
        _page(syncs.render, context, "Syncs", "syncs"),
        _page(close.render, context, "Close", "close"),
        _page(audit.render, context, "Audit", "audit"),
    ]
    settings = [
        _page(connections.render, context, "Connections", "connections"),
        _page(files.render, context, "Files", "files"),
        _page(mapping.render, context, "Mapping", "mapping", hidden=of_files),
        _page(rules.render, context, "Rules", "rules", hidden=of_files),
        _page(go_live.render, context, "Go-live", "go-live", hidden=of_files),
        _page(dry_run.render, context, "Dry run", "dry-run", hidden=of_files),
    ]
    yours = [
        _page(people.render, context, "Users", "users", hidden=not commands.may(user, "manage_users")),
        _page(people.account, context, "Your account", "account"),
    ]
    pages |= {page.url_path: page for page in (*work, *settings, *yours)}
    st.navigation({"": work, "Set up": settings, "People": yours}).run()
    chrome.drawn()


def _page(
    render: Callable[[Context], None],
    context: Context,
    title: str,
    path: str,
    *,
    default: bool = False,
    hidden: bool = False,
) -> Any:
    """A hidden page is not offered; whoever has its address is told there why."""
    visibility: Any = "hidden" if hidden else "visible"
    return st.Page(partial(render, context), title=title, url_path=path, default=default, visibility=visibility)


def _choose(links: list[LinkView]) -> LinkView | None:
    """The link looked at; a switch only where there is a choice."""
    if len(links) < 2:
        return links[0] if links else None
    by_id = {link.id: link for link in links}
    chosen = st.sidebar.selectbox(
        "Books",
        list(by_id),
        format_func=lambda link_id: f"{by_id[link_id].name} · {chrome.MODES[by_id[link_id].mode][0]}",
        key=LINK,
        persist_state="session",
    )
    return by_id[chosen]


# ---- serving


def make_app(environment: Environment) -> Any:
    """The pages behind the gate, with what else this process is to serve."""
    is_single = os.environ.get("TIEOUT_SINGLE") == "1"
    routes = gate.sign_in_routes(environment.database, environment.clock, environment.rng)
    routes += provider.routes(environment)
    routes += callback.routes(environment)
    if is_single:
        from sync.web import routes as hook_routes

        routes += hook_routes(environment)
    else:
        routes.append(Route("/healthz", partial(_health, environment)))

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        _warm_up()
        callbacks.run_whole()
        with _worker(environment) if is_single else nullcontext():
            yield

    middleware = [Middleware(gate.Gate, database=environment.database, clock=environment.clock)]
    return st.App(__file__, routes=routes, middleware=middleware, lifespan=lifespan)


def _worker(environment: Environment) -> AbstractContextManager[None]:
    from sync.processes import in_background

    return in_background(environment, int(os.environ.get("TIEOUT_INTERVAL_S", "900")))


async def _health(environment: Environment, _request: Request) -> Response:
    with environment.database.read():
        return JSONResponse({"status": "ok"})


def _warm_up() -> None:
    """Imports what the first view would wait for, and takes all of it out of the garbage collector's sight."""
    import_module("pandas")  # plotly looks for it in the middle of a view, and two views at once would clash
    import plotly.graph_objects
    import plotly.io
    from streamlit.runtime.pages_manager import PagesManager

    assert all((plotly.graph_objects, plotly.io))
    # Until the first view, Streamlit would take the modules of our pages/ for scripts and run them by their address.
    PagesManager.uses_pages_directory = False
    gc.collect()
    gc.freeze()


if __name__ == "__main__" and st.runtime.exists():
    draw()
else:
    app = make_app(shared_environment())
    if __name__ == "__main__":
        app.run(config=config())
