"""QuickBooks Online, stateful, on loopback: `serve(emulator.app)`, or call it in process."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from emulators.clock import Clock, Rng
from emulators.faults import Faults
from emulators.qbo import chart, merging, vat
from emulators.qbo.api import Api
from emulators.qbo.books import Books
from emulators.qbo.checks import Body
from emulators.qbo.company import Company, Switches
from emulators.qbo.oauth import OAuth
from emulators.qbo.records import Records
from emulators.qbo.web import application
from emulators.qbo.webhooks import Webhooks
from emulators.store import Store

NO_NOTICE = ("ExchangeRate", "TaxCode", "TaxRate", "CompanyInfo", "CompanyCurrency")


class QboEmulator:
    """One app (client id and secret) and one company (realm). `switches` holds what Intuit leaves undocumented."""

    def __init__(  # noqa: PLR0913 - each is one fact of the account
        self,
        store: Store,
        clock: Clock,
        rng: Rng,
        *,
        client_id: str = "tieout-client",
        client_secret: str = "tieout-secret",  # noqa: S107 - the stand-in's own
        realm_id: str = "9341450000000001",
        home_currency: str = "USD",
        time_zone: str = "America/New_York",
        company_name: str = "Acme Incorporated",
        currencies: Sequence[str] = ("EUR", "GBP", "JPY"),
        throttle: bool = False,
        verifier_token: str = "tieout-verifier",  # noqa: S107
        webhook_url: str | None = None,
        switches: Switches | None = None,
    ) -> None:
        self.store, self.clock, self.rng = store, clock, rng
        self.client_id, self.client_secret, self.realm_id = client_id, client_secret, realm_id
        self.home_currency = home_currency
        self.switches = switches or Switches()
        self.oauth = OAuth(store, clock, rng)
        self.webhooks = Webhooks(store, clock, rng, realm_id, verifier_token)
        self.records = Records(store, clock, ZoneInfo(time_zone), self._noticed)
        self.company = Company(self.records, Books(self.records, home_currency), home_currency, self.switches)
        self.api = Api(self.company, realm_id)
        self.faults = Faults(rng)
        chart.found(self.company, company_name, time_zone, currencies)
        self.app = application(self)
        self.switch(throttle=throttle or self.switches.throttle)
        self.webhooks.configure(webhook_url)

    # --- documents, as over HTTP --------------------------------------------------------------------------------------

    def create(self, entity: str, body: Body, *, request_id: str | None = None) -> Body:
        answer = self.api.write(entity, {"requestid": request_id} if request_id else {}, body)
        return dict(answer[entity])

    def update(self, entity: str, body: Body) -> Body:
        return dict(self.api.write(entity, {"operation": "update"}, body)[entity])

    def delete(self, entity: str, body: Body) -> Body:
        return dict(self.api.write(entity, {"operation": "delete"}, body)[entity])

    def void(self, entity: str, body: Body) -> Body:
        return dict(self.api.write(entity, {"operation": "void"}, body)[entity])

    def register_for_vat(self) -> dict[str, str]:
        """Gives the ids of its tax codes by name."""
        return vat.register(self.company)

    def merge_customers(self, gone_id: str, survivor_id: str) -> None:
        """As a person does it in the browser."""
        merging.merge_customers(self.company, gone_id, survivor_id)

    def read(self, entity: str, object_id: str) -> Body:
        return dict(self.api.read(entity, object_id, {})[entity])

    def query(self, sql: str) -> Body:
        """The inside of QueryResponse: {"Customer": [...], "startPosition": 1, "maxResults": 3}."""
        return dict(self.api.query(sql)["QueryResponse"])

    # --- the books ----------------------------------------------------------------------------------------------------

    def trial_balance(self, as_of: date | None = None) -> dict[str, int]:
        """Home-currency minor units by account id, debit-positive; sums to zero."""
        accounts = self.store.find("Account", oldest_first=True)
        return {account["Id"]: self.company.books.balance(account["Id"], as_of)[1] for account in accounts}

    def account_balance(self, account_id: str, as_of: date | None = None) -> int:
        """Minor units of the account's own currency, debit-positive, at the end of the day."""
        return self.company.books.balance(account_id, as_of)[0]

    def account(self, name: str) -> Body:
        """The account of that (fully qualified) name."""
        return self.company.account_named(name)

    # --- the service --------------------------------------------------------------------------------------------------

    def issue_tokens(self) -> dict[str, Any]:
        return self.oauth.issue_tokens()

    def switch(self, **values: bool) -> None:
        for name, value in values.items():
            if name not in Switches.__dataclass_fields__ or not isinstance(value, bool):
                raise ValueError(f"{name} is not a switch, or {value} is neither true nor false.")
            setattr(self.switches, name, value)
        self.oauth.rotate_always = self.switches.rotate_always
        self.webhooks.legacy = self.switches.legacy_webhooks

    def tick(self) -> None:
        """Does what is due by the clock: deliveries of change notices."""
        self.webhooks.deliver()

    def close(self) -> None:
        self.webhooks.close()

    def _noticed(self, entity: str, object_id: str, operation: str) -> None:
        if entity not in NO_NOTICE:
            self.webhooks.notice(entity, object_id, operation)
