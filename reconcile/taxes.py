"""The company's tax codes: what each puts on sales and purchases, and which document and fee gets which.

A company has input tax (VAT, GST) if a code of its names rates of purchases; only then do fees and documents without
tax need a code too. QuickBooks' sales tax alone asks for one where there is tax.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from reconcile.records import Document, TaxCode, TaxRate

# Documents whose lines have a code of their own, without tax or with what the code says.
DOCUMENTS = {
    "invoice": "Stripe's invoices without tax",
    "sales_receipt": "Sales without an invoice",
    "refund_receipt": "Refunds of what carried no tax",
}
# By what their names say, codes for what bears no tax. A person looks at every proposal.
UNTAXED = ("exempt", "gst free", "no vat", "no gst", "out of scope")
OUT_OF_SCOPE = ("out of scope", "no vat", "no gst", "bas excluded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tax:
    """What the documents a charge paid carry: `tax_minor` of their `total_minor`, by the code of their lines."""

    tax_minor: int
    total_minor: int
    code: str | None

    def part_of(self, amount: int) -> int:
        """The tax in an amount, in proportion, halves up."""
        return (2 * amount * self.tax_minor + self.total_minor) // (2 * self.total_minor)


def tax_of(documents: Iterable[Document]) -> Tax | None:
    """None if they carry neither tax nor one code. A code only if it is the same for all."""
    documents = list(documents)
    tax, codes = sum(each.tax_minor for each in documents), {each.tax_code for each in documents}
    total = sum(each.amount_minor for each in documents)
    code = codes.pop() if len(codes) == 1 else None
    return Tax(tax_minor=tax, total_minor=total, code=code) if total and (tax or code) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Levy:
    """A tax code with what it comes to: percents of a net amount. `reclaims`: it names rates of purchases."""

    id: str
    name: str
    active: bool = True
    taxable: bool = True
    sales: Decimal = Decimal(0)
    purchases: Decimal = Decimal(0)
    reclaims: bool = False
    currency: str | None = None  # none: it is of any

    def on_sale(self) -> Tax:
        """The tax in what is sold with it."""
        return Tax(tax_minor=int(self.sales * 1000), total_minor=int((100 + self.sales) * 1000), code=self.id)


def levies(codes: Iterable[TaxCode], rates: Iterable[TaxRate]) -> dict[str, Levy]:
    percents = {rate.id: Decimal(rate.percent) for rate in rates}
    return {
        code.id: Levy(
            id=code.id,
            name=code.name,
            active=code.active,
            taxable=code.taxable,
            sales=sum((percents.get(each, Decimal(0)) for each in code.sales), Decimal(0)),
            purchases=sum((percents.get(each, Decimal(0)) for each in code.purchases), Decimal(0)),
            reclaims=bool(code.purchases),
        )
        for code in codes
    }


def has_input_tax(found: Mapping[str, Levy]) -> bool:
    return any(each.active and each.reclaims for each in found.values())
