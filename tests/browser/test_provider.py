"""Signing in with a provider, in a browser: its own page, and back."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from emulators.clock import Clock, Rng
from emulators.oidc import OidcProvider, Person
from emulators.server import serve
from storage import users
from storage.engine import Database
from sync import gate, oidc
from sync.clock import SystemClock
from tests import factories

pytestmark = pytest.mark.browser


def test_people_sign_in_with_a_provider_or_learn_why_not(
    sqlite_database: Database, tmp_path: Path, open_app: Callable[..., str], page: Page, forgiven: list[str]
) -> None:
    """Who is invited comes to the page they asked for; each of the others is told, and stays outside."""
    forgiven += ["401 (Unauthorized)", "403 (Forbidden)"]  # the browser says so of pages that refuse
    now = SystemClock().now()
    factories.seed_company(sqlite_database, now)
    factories.seed_user(sqlite_database, now, "viewers-link", "viewer")
    people = [Person("viewer@example.com"), Person("stranger@example.com"), Person("new@example.com", verified=False)]
    provider = OidcProvider(Clock(), Rng(7), people)
    with serve(provider.app) as there:
        settings = {"ISSUER": there, "CLIENT_ID": "tieout", "CLIENT_SECRET": provider.client_secret, "NAME": "Tideway"}
        environment = {f"TIEOUT_OIDC_{name}": value for name, value in settings.items()}
        address = open_app(tmp_path, **environment, **{oidc.LOCAL: oidc.ADMINS})
        provider.redirect_uris.append(f"{address}{gate.PROVIDER_BACK}")

        def sign_in(name: str) -> None:
            page.get_by_role("link", name="Sign in with Tideway").click()
            page.get_by_role("link", name=name, exact=True).click()

        page.goto(f"{address}/payouts")
        expect(page.get_by_label("Password")).to_have_count(0)
        sign_in("stranger@example.com")
        expect(page.get_by_text("stranger@example.com is not invited.")).to_be_visible()
        sign_in("new@example.com")
        expect(page.get_by_text("has not verified your e-mail address")).to_be_visible()
        for fault, why in (("nonce", "it answers another sign-in"), ("forged", "it is not signed by the provider")):
            provider.fault = fault  # type: ignore[assignment]
            sign_in("viewer@example.com")
            expect(page.get_by_text(why)).to_be_visible()
        provider.fault = ""
        assert not any(each.sessions for each in users.everybody(sqlite_database, SystemClock().now()))

        page.goto(f"{address}/payouts")
        sign_in("viewer@example.com")
        expect(page.locator("h1", has_text="Payouts")).to_be_visible()
        expect(page.get_by_text("viewer@example.com")).to_be_visible()
        page.goto(f"{address}/account")
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/sign-in")
        page.goto(f"{address}/sign-in?token=let-me-in")
        page.goto(f"{address}/users")
        expect(page.get_by_text("viewer@example.com · with Tideway")).to_be_visible()
    assert provider.client_secret not in (tmp_path / "app.log").read_text()
