"""What a link needs to know of the company's chart of accounts: each role, what may fill it, and what is wrong with it.

Pure: over the chart as it was read last. A role that is filled wrongly is taken for one that is not filled, so that
what needs it waits, with the sentence that says why.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from reconcile.money import THREE_DECIMAL
from reconcile.postings import ROLES, Mappings
from reconcile.records import Account, Named
from reconcile.taxes import DOCUMENTS, OUT_OF_SCOPE, UNTAXED, Levy, has_input_tax

Entity = Literal["account", "item", "vendor", "class", "department", "payment_method", "tax_code"]
Entry = Account | Named | Levy

COST = ("Expense", "Other Expense", "Cost of Goods Sold")
TAX = (*COST, "Other Current Asset", "Other Current Liability")
FEES = "Stripe fees"
# Kinds of fees and bills, with what an accountant calls them. The first three are always needed.
FEE_TITLES = {
    "stripe_fee": "Stripe's fees",
    "payment_method_passthrough_fee": "Fees passed through by Stripe",
    "tax": "Tax on Stripe's fees",
    "fee": "Stripe's bills (Billing, Radar, ...)",
    "network_cost": "Network costs",
    "tax_fee": "Taxes Stripe bills by themselves",
    "stripe_fx_fee": "Currency conversion fees",
    "application_fee": "Platform fees",
    "withheld_tax": "Tax withheld",
}
NEEDED_FEES = ("stripe_fee", "payment_method_passthrough_fee", "tax")
ROLE_TYPES: dict[str, tuple[str, ...]] = {
    "disputes_receivable": ("Other Current Asset",),
    "dispute_losses": COST,
    "dispute_fees": COST,
    "reserve": ("Other Current Asset",),
    "refunds_owed": ("Other Current Liability",),
    "exchange": ("Other Expense", "Other Income", "Expense", "Income"),
    "bridge": ("Bank",),
    "rounding": (*COST, "Other Income", "Income"),
    "write_offs": (*COST, "Other Income", "Income"),
    "outside_fees": COST,
}
SHORT_ROLES = ("write_offs", "outside_fees")
OPTIONAL_ROLES = ("bridge", "exchange", "rounding", *SHORT_ROLES)
OPENING_NOT = ("Accounts Receivable", "Accounts Payable")
OPENING = "Opening Balance Equity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """What a company has to choose from, by id, inactive ones too; without what is not asked for."""

    home_currency: str
    accounts: Mapping[str, Account] = field(default_factory=dict)
    items: Mapping[str, Named] = field(default_factory=dict)
    vendors: Mapping[str, Named] = field(default_factory=dict)
    classes: Mapping[str, Named] = field(default_factory=dict)
    departments: Mapping[str, Named] = field(default_factory=dict)
    payment_methods: Mapping[str, Named] = field(default_factory=dict)
    tax_codes: Mapping[str, Levy] = field(default_factory=dict)

    def of(self, entity: Entity) -> Mapping[str, Entry]:
        tables: dict[Entity, Mapping[str, Entry]] = {
            "account": self.accounts,
            "item": self.items,
            "vendor": self.vendors,
            "class": self.classes,
            "department": self.departments,
            "payment_method": self.payment_methods,
            "tax_code": self.tax_codes,
        }
        return tables[entity]


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One choice. `field` and `key` say where in Mappings it stands; `types` are those an account may have, the first
    of which it is made with under `name` (None: it cannot be made for the accountant).
    """

    field: str
    key: str | None = None
    group: str
    title: str
    entity: Entity = "account"
    types: tuple[str, ...] = ()
    currency: str | None = None
    name: str | None = None
    needed: bool = True

    @property
    def id(self) -> str:
        return f"{self.field}:{self.key}" if self.key else self.field


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a role cannot be used. `missing`: nothing is chosen."""

    role: Role
    text: str
    missing: bool = False


def roles(mappings: Mappings, chart: Chart, currencies: Iterable[str] = ()) -> list[Role]:
    """Every role of a link, in the order a person goes through them. `currencies` are those of Stripe's balances."""
    home = chart.home_currency
    foreign = {*currencies, *mappings.clearing, *mappings.bank, *mappings.foreign_vendors} - {home}
    all_currencies = [home, *sorted(foreign)]
    return [
        *(role for currency in all_currencies for role in _of_currency(currency, home)),
        *_of_fees(mappings, home),
        *_of_sales(),
        *(
            Role(
                field="accounts",
                key=key,
                group="Payments that are short" if key in SHORT_ROLES else "Disputes, reserves and refunds",
                title=name,
                types=ROLE_TYPES[key],
                name=None if key == "exchange" else name,  # QuickBooks makes that one itself
                needed=key not in OPTIONAL_ROLES
                or (key == "bridge" and bool(foreign))
                or (key == "rounding" and not THREE_DECIMAL.isdisjoint(all_currencies)),
            )
            for key, name in ROLES.items()
        ),
        *_of_taxes(mappings, chart),
        Role(field="opening_account", group="Opening balance", title="Other side of the opening balance", name=None),
        *_of_labels(),
    ]


def _of_currency(currency: str, home: str) -> Iterator[Role]:
    suffix, group = "" if currency == home else f" ({currency})", "Stripe balance and bank"
    yield Role(
        field="clearing",
        key=currency,
        group=group,
        title=f"Stripe clearing account, {currency}",
        types=("Bank",),
        currency=currency,
        name=f"Stripe clearing{suffix}",
    )
    yield Role(
        field="bank",
        key=currency,
        group=group,
        title=f"Bank account of the payouts, {currency}",
        types=("Bank",),
        currency=currency,
    )
    if currency != home:
        yield Role(
            field="foreign_vendors",
            key=currency,
            group=group,
            title=f"Vendor of Stripe's fees, {currency}",
            entity="vendor",
            currency=currency,
            name=f"Stripe{suffix}",
        )


def _of_fees(mappings: Mappings, home: str) -> Iterator[Role]:
    for kind in (*FEE_TITLES, *sorted(set(mappings.fees) - set(FEE_TITLES))):
        yield Role(
            field="fees",
            key=kind,
            group="Stripe's fees",
            title=FEE_TITLES.get(kind, kind.replace("_", " ").capitalize()),
            types=TAX if "tax" in kind else COST,
            name=FEES if kind in NEEDED_FEES else None,
            needed=kind in NEEDED_FEES,
        )
    yield Role(
        field="fee_vendor",
        group="Stripe's fees",
        title="Vendor of the fees",
        entity="vendor",
        currency=home,
        name="Stripe",
    )


def _of_sales() -> Iterator[Role]:
    for name, title, made in (
        ("sales_item", "Item of sales without an invoice", "Stripe sale"),
        ("refund_item", "Item of refunds", "Stripe refund"),
    ):
        yield Role(field=name, group="Sales and refunds", title=title, entity="item", name=made)


def _of_taxes(mappings: Mappings, chart: Chart) -> Iterator[Role]:
    """Only in a company with input tax does everything need a code."""
    if not chart.tax_codes:
        return
    common: dict[str, Any] = {"group": "Tax codes", "entity": "tax_code"}
    reclaims = has_input_tax(chart.tax_codes)
    yield Role(field="sales_tax_code", title="Stripe's invoices with tax", needed=reclaims, **common)
    for kind, title in DOCUMENTS.items() if reclaims else ():
        yield Role(field="tax_codes", key=kind, title=title, **common)
    for kind in dict.fromkeys((*FEE_TITLES, *sorted(mappings.fees))) if reclaims else ():
        title = FEE_TITLES.get(kind, kind.replace("_", " ").capitalize())
        yield Role(field="fee_tax_codes", key=kind, title=title, needed=kind in NEEDED_FEES, **common)


def _of_labels() -> Iterator[Role]:
    rows: tuple[tuple[str, str, Entity], ...] = (
        ("class_id", "Class", "class"),
        ("location_id", "Location", "department"),
        ("payment_method_id", "Payment method", "payment_method"),
    )
    for name, title, entity in rows:
        yield Role(field="labels", key=name, group="On every document", title=title, entity=entity, needed=False)


# ---- reading and changing


def chosen(mappings: Mappings, role: Role) -> str | None:
    found = getattr(mappings, role.field)
    if role.key is None:
        return found  # type: ignore[no-any-return]
    return found.get(role.key) if isinstance(found, dict) else getattr(found, role.key)


def with_choice(mappings: Mappings, role: Role, value: str | None) -> Mappings:
    """The same with one choice made, or taken back."""
    found: Any = getattr(mappings, role.field)
    changed: Any = value
    if isinstance(found, dict):
        rest = {key: each for key, each in found.items() if key != role.key}
        changed = rest | ({role.key: value} if value else {})
    elif role.key is not None:
        changed = replace(found, **{role.key: value})
    return replace(mappings, **{role.field: changed})


# ---- checking


def problems(
    mappings: Mappings, chart: Chart, currencies: Iterable[str] = (), taken: Iterable[str] = ()
) -> list[Problem]:
    """What keeps roles from being used. `taken` are the clearing accounts of the company's other links."""
    found = []
    for role in roles(mappings, chart, currencies):
        value = chosen(mappings, role)
        if value is None:
            if role.needed:
                found.append(Problem(role=role, text=f"{role.title}: nothing is chosen.", missing=True))
            continue
        text = _wrong(mappings, role, value, chart, frozenset(taken))
        if text:
            found.append(Problem(role=role, text=text))
    return found


def candidates(role: Role, chart: Chart, taken: Iterable[str] = ()) -> dict[str, Entry]:
    """What may fill a role, by name, without the accounts that are `taken`."""
    out = frozenset(taken) if role.entity == "account" else frozenset()
    entries = chart.of(role.entity).items()
    fitting = {key: entry for key, entry in entries if key not in out and not _unfit(role, entry)}
    return dict(sorted(fitting.items(), key=lambda pair: pair[1].name.casefold()))


def _wrong(mappings: Mappings, role: Role, value: str, chart: Chart, taken: frozenset[str]) -> str | None:
    entry = chart.of(role.entity).get(value)
    if entry is None:
        return f"{role.title}: what was chosen does not exist in QuickBooks any more."
    unfit = _unfit(role, entry)
    if unfit:
        return f"{role.title}: “{entry.name}” {unfit}"
    if role.field == "clearing" and value in taken:
        return f"{role.title}: “{entry.name}” is the clearing account of another Stripe account. Each needs its own."
    others = [each for currency, each in mappings.clearing.items() if (role.field, role.key) != ("clearing", currency)]
    if role.entity == "account" and value in others:
        return f"{role.title}: “{entry.name}” is the clearing account, which stands for the Stripe balance alone."
    return None


def _unfit(role: Role, entry: Entry) -> str | None:
    if not entry.active:
        return "was made inactive in QuickBooks."
    if isinstance(entry, Account):
        if role.types and entry.type not in role.types:
            return f"is of type {entry.type}; this takes {' or '.join(role.types)}."
        if role.field == "opening_account" and entry.type in OPENING_NOT:
            return f"is of type {entry.type}, whose entries need a name each."
    if role.currency and entry.currency not in (None, role.currency):
        return f"is kept in {entry.currency}; this takes {role.currency}."
    return None


def usable(mappings: Mappings, found: Iterable[Problem]) -> Mappings:
    """Without the choices that cannot be used. A label stays: QuickBooks refuses it, rather than we leave it out."""
    for problem in found:
        if problem.role.field != "labels":
            mappings = with_choice(mappings, problem.role, None)
    return mappings


# ---- what waits for a choice

PAYOUTS = ("payout", "payout_reversal", "topup", "topup_reversal")
ITEMS = ("sales_item", "refund_item")
MORE = "Open the page Mapping."  # how what waits for a choice ends, after what is wrong with the choices made


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """Entries that wait alike for a choice: `kind` and `category` are those of legs, `detail` is what they say."""

    kind: str
    category: str
    currency: str
    reason: str
    detail: str


def lacking(lack: Lack, unusable: Iterable[Problem], home: str) -> Problem | None:
    """The first of the roles that cannot be used that these entries need; None if none of them is known to be."""
    unusable = list(unusable)
    said = lack.detail.removesuffix(MORE)
    for problem in unusable:  # appended to every such entry, whatever it waits for
        said = said.replace(problem.text, "")
    return next((each for each in unusable if _lacks(lack, each.role, said, home)), None)


def _lacks(lack: Lack, role: Role, said: str, home: str) -> bool:
    needs = {
        "clearing": role.key == lack.currency,
        "bank": role.key == lack.currency and lack.category in PAYOUTS,
        "fees": role.key in (lack.kind, lack.category) and str(role.key) in said,
        "fee_vendor": lack.currency == home and "vendor" in said,
        "foreign_vendors": role.key == lack.currency and "vendor" in said,
        "sales_item": "sales" in said,
        "refund_item": "refunds" in said,
        "accounts": role.title in said,
    }
    return (lack.reason == "unmapped_item") == (role.field in ITEMS) and needs.get(role.field, False)


def unusable(
    mappings: Mappings, chart: Chart, currencies: Iterable[str] = (), taken: Iterable[str] = ()
) -> list[Problem]:
    """Every role that is not chosen, needed or not, and every one whose choice cannot be used."""
    currencies = tuple(currencies)
    wrong = {each.role.id: each for each in problems(mappings, chart, currencies, taken)}
    return [
        wrong.get(role.id) or Problem(role=role, text=f"{role.title}: nothing is chosen.", missing=True)
        for role in roles(mappings, chart, currencies)
        if role.id in wrong or chosen(mappings, role) is None
    ]


# ---- proposing


def propose(mappings: Mappings, chart: Chart, currencies: Iterable[str] = (), taken: Iterable[str] = ()) -> Mappings:
    """Fills what is not chosen with what has the name it would be made under, or is the only one that fits."""
    for role in roles(mappings, chart, currencies):
        if chosen(mappings, role) is None:
            found = proposal(role, chart, {*taken, *mappings.clearing.values()})
            mappings = with_choice(mappings, role, found) if found else mappings
    return mappings


def proposal(role: Role, chart: Chart, taken: Iterable[str] = ()) -> str | None:
    """The default for one role; None if a person has to choose, or it is to be made."""
    fitting = candidates(role, chart, taken)
    if role.entity == "tax_code":
        return _proposed_code(role, chart.tax_codes)
    wanted = OPENING if role.field == "opening_account" else ROLES.get(role.key or "") or role.name
    for key, entry in fitting.items():
        if wanted and entry.name.rpartition(":")[2].casefold() == wanted.casefold():
            return key
    return next(iter(fitting)) if role.field == "bank" and len(fitting) == 1 else None


def _proposed_code(role: Role, levies: Mapping[str, Levy]) -> str | None:
    """The only one that fits; which treatment Stripe's fees get, a person has to say."""
    active = [each for each in levies.values() if each.active]
    if role.field == "sales_tax_code":
        found = [each for each in active if each.taxable and (each.sales or not has_input_tax(levies))]
        return found[0].id if len(found) == 1 else None
    if role.field == "fee_tax_codes" and "tax" not in (role.key or ""):
        return None
    words = UNTAXED if role.field == "tax_codes" else OUT_OF_SCOPE
    named = ([each for each in active if word in each.name.casefold() and not each.sales] for word in words)
    return next((found[0].id for found in named if len(found) == 1), None)
