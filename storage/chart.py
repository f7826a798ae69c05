"""The chart of accounts and the lists beside it, as they were read last."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from reconcile.mapping import Chart, Problem, Role, problems, roles
from reconcile.postings import Mappings, Policies
from reconcile.records import TaxCode, TaxRate
from reconcile.taxes import Levy, levies
from storage import connections, errands, mirror, outbox
from storage.connections import Link
from storage.engine import Database
from storage.errands import Errand

KINDS = ("account", "item", "vendor", "class", "department", "payment_method")
TAXES = ("tax_code", "tax_rate")


def load(conn: Connection, ledger_id: int) -> Chart:
    """All of it, to choose from."""
    return _chart(
        conn, ledger_id, {kind: {each.id: each for each in mirror.load_all(conn, ledger_id, [kind])} for kind in KINDS}
    )


def load_chosen(conn: Connection, ledger_id: int, mappings: Mappings) -> Chart:
    """Only what these mappings name, to check them."""
    wanted: dict[str, Collection[str | None]] = {
        "account": [
            *mappings.clearing.values(),
            *mappings.bank.values(),
            *mappings.fees.values(),
            *mappings.accounts.values(),
            mappings.opening_account,
        ],
        "item": [mappings.sales_item, mappings.refund_item],
        "vendor": [mappings.fee_vendor, *mappings.foreign_vendors.values()],
        "class": [mappings.labels.class_id],
        "department": [mappings.labels.location_id],
        "payment_method": [mappings.labels.payment_method_id],
    }
    keys = ((kind, each) for kind, ids in wanted.items() for each in ids if each)
    return _chart(conn, ledger_id, mirror.load_several(conn, ledger_id, keys))


def taken(conn: Connection, link: Link) -> list[str]:
    """The clearing accounts of other links of the same company."""
    links = connections.all_links(conn)
    others = [each for each in links if each.ledger_id == link.ledger_id and each.id != link.id]
    return [account for each in others for account in each.mappings.clearing.values()]


def taxes(conn: Connection, ledger_id: int) -> dict[str, Levy]:
    """The company's tax codes by id."""
    both: list[TaxCode | TaxRate] = mirror.load_all(conn, ledger_id, TAXES)
    return levies(
        [each for each in both if isinstance(each, TaxCode)], [each for each in both if isinstance(each, TaxRate)]
    )


def check(conn: Connection, link: Link) -> list[Problem]:
    """What keeps a link's mappings from being used."""
    chart = load_chosen(conn, link.ledger_id, link.mappings)
    return problems(link.mappings, chart, link.balances, taken(conn, link))


def uncoded(conn: Connection, link: Link) -> list[str]:
    """The tax codes that are missing or cannot be used, in a company whose documents all need one."""
    return [each.text for each in check(conn, link) if each.role.needed and each.role.entity == "tax_code"]


def _chart(conn: Connection, ledger_id: int, found: Mapping[str, dict[str, Any]]) -> Chart:
    """`found` by kind and id, with all tax codes: there are few, and whether there are any matters."""
    return Chart(
        home_currency=mirror.home_currency(conn, ledger_id),
        accounts=found.get("account", {}),
        items=found.get("item", {}),
        vendors=found.get("vendor", {}),
        classes=found.get("class", {}),
        departments=found.get("department", {}),
        payment_methods=found.get("payment_method", {}),
        tax_codes=taxes(conn, ledger_id),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingView:
    """What the page Mapping shows of a link."""

    mappings: Mappings
    policies: Policies
    chart: Chart
    roles: tuple[Role, ...]
    problems: tuple[Problem, ...]
    taken: tuple[str, ...]
    is_read: bool  # the chart was read at all
    has_posted: bool
    asked: Mapping[str, Errand]  # what the Web Connector is to make for a role, by role
    by_visits: bool  # QuickBooks calls us: what is made goes with its next visit

    @property
    def missing(self) -> tuple[Role, ...]:
        return tuple(each.role for each in self.problems if each.missing)


def view(database: Database, link_id: int) -> MappingView:
    with database.read() as conn:
        link = connections.link(conn, link_id)
        chart, others = load(conn, link.ledger_id), taken(conn, link)
        return MappingView(
            mappings=link.mappings,
            policies=link.policies,
            chart=chart,
            roles=tuple(roles(link.mappings, chart, link.balances)),
            problems=tuple(problems(link.mappings, chart, link.balances, others)),
            taken=tuple(others),
            is_read=bool(chart.accounts),
            has_posted=outbox.any_sent(conn, link_id),
            asked=errands.of_roles(conn, link_id),
            by_visits=connections.is_desktop(conn, link.ledger_id),
        )


def count_problems(database: Database, link_id: int) -> int:
    """How many roles cannot be used as they are."""
    with database.read() as conn:
        return len(check(conn, connections.link(conn, link_id)))
