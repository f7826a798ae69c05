"""The two sides of an item, field by field, as HTML. Pure."""

import re
from dataclasses import dataclass
from datetime import date
from html import escape

from pages import style, words
from reconcile.records import Charge, Document
from storage import review
from storage.review import Candidate, Detail
from storage.search import Item

WITH_FEE = ("journal_entry", "purchase", "refund_receipt", "deposit")
QUIET = '<span class="t-quiet">none</span>'


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One field: what each side says, and whether they agree (`state` of pages.style, or None)."""

    field: str
    left: str
    right: str = ""
    state: str | None = None
    cue: str = ""
    weight: str = ""  # how much it told, as HTML


def stripe_side(detail: Detail) -> str:
    """What Stripe knows of the object."""
    return style.table(["", "Stripe"], [[line.field, line.left] for line in _left(detail.item)])


def both_sides(detail: Detail, candidate: Candidate) -> str:
    """Stripe's record beside the documents of a candidate, with a cue for each field."""
    rows = [[_cued(line), line.left, line.right] for line in compare(detail.item, candidate)]
    return style.table(["", "Stripe", "QuickBooks"], rows)


def _cued(line: Line) -> str:
    """The field with what it says for or against, in one column: at 1024 pixels there is no room for another."""
    cue = style.mark(line.state, line.cue) if line.state else ""
    return "<br>".join(filter(None, (line.field, cue, line.weight)))


def compare(item: Item, candidate: Candidate) -> list[Line]:
    """The fields of `item` with what the candidate's documents say."""
    documents = [document for document, _, _ in candidate.parts if document is not None]
    right = {
        "Amount": "<br>".join(_allocation(*part, item) for part in candidate.parts),
        "Date": "<br>".join(_dates(document) for document in documents),
        "Customer": _unique([document.customer_name or "" for document in documents]),
        "E-mail": _address(_unique([document.customer_email or "" for document in documents])),
        "Text": _unique([document.memo for document in documents]),
    }
    cues = {
        "Amount": _amount_cue(item, candidate),
        "Date": _date_cue(item.dated, documents),
        "Customer": _same_cue(item.customer, [document.customer_name or "" for document in documents]),
        "E-mail": _same_cue(_email(item), [document.customer_email or "" for document in documents]),
        "Text": _reference_cue(item.description, documents),
    }
    return [
        Line(
            field=line.field,
            left=line.left,
            right=right.get(line.field, ""),
            state=cue[0],
            cue=cue[1],
            weight=_weight(candidate, line.field),
        )
        for line in _left(item)
        for cue in (cues.get(line.field, (None, "")),)
    ]


def title(candidate: Candidate) -> str:
    """The names of a candidate's documents."""
    return words.listed(
        [words.document(key, document.doc_number if document else None) for document, key, _ in candidate.parts]
    )


def difference(detail: Detail, candidate: Candidate) -> tuple[str, str]:
    """What stays open if this candidate is accepted, as a state and a sentence: nothing, or where it goes."""
    item, documents = detail.item, [document for document, _, _ in candidate.parts if document is not None]
    if len(documents) < len(candidate.parts) or any(document.currency != item.currency for document in documents):
        return "bad", "Difference: not known, because the documents are gone or in another currency."
    if candidate.role == "pays_invoice":
        return _after_payment(item, documents, candidate, review.rest_minor(detail, candidate))
    gap = _unrecorded(detail, candidate)
    if not gap:
        return "good", "Difference 0.00. Accepting posts nothing: it is recorded already."
    figure = words.money(gap, item.currency)
    return "wait", f"Difference {figure}. Accepting posts nothing, so this stays open and the proof lists it."


def _unrecorded(detail: Detail, candidate: Candidate) -> int:
    """What the documents fall short of the item. Of an entry only the part counts that is about it; some documents take
    Stripe's fee along, and then record it too.
    """
    own = [leg.amount_minor for leg in detail.legs if leg.kind == "gross"]
    whole = abs(sum(leg.amount_minor for leg in detail.legs))
    parts = [(document, amount) for document, _, amount in candidate.parts if document is not None]
    recorded = sum(
        amount if document.kind == "journal_entry" else abs(document.amount_minor) for document, amount in parts
    )
    if recorded == whole and all(document.kind in WITH_FEE for document, _ in parts):
        return 0
    return (abs(sum(own)) if own else whole) - recorded


def _after_payment(item: Item, documents: list[Document], candidate: Candidate, rest: int) -> tuple[str, str]:
    if rest > 0:
        customers = words.listed(sorted({document.customer_name or "the customer" for document in documents}))
        return "wait", f"Difference {words.money(rest, item.currency)}. Accepting leaves it as credit of {customers}."
    still_open = sum(document.open_minor for document in documents) - sum(amount for _, _, amount in candidate.parts)
    if still_open > 0:
        return "good", f"Difference 0.00. {words.money(still_open, item.currency)} stays open on the invoice."
    return "good", "Difference 0.00"


# ---- what matching made of it

# The fields of matching that stand in a line of the comparison.
TOLD_IN = {
    "Amount": ("amount",),
    "Date": ("date",),
    "Customer": ("customer name",),
    "E-mail": ("customer e-mail",),
    "Text": ("reference", "other numbers"),
    "Ids": ("Stripe id", "customer"),
}


def _weight(candidate: Candidate, line: str) -> str:
    """How much likelier or unlikelier the line makes this candidate; the least where it has several documents."""
    found = [each for each in candidate.told if each.field in TOLD_IN.get(line, ()) and each.weight]
    if not found:
        return ""
    least = min(found, key=lambda each: each.weight)
    levels = ", ".join(dict.fromkeys(f"{each.field}: {each.level}" for each in found))
    return f'<span class="s t-keep" title="{escape(levels)}">{words.factor(least.weight)}</span>'


def likelihood(candidate: Candidate) -> str:
    """ "99.7 % likely, 2 others compared", or "" where rules and not chances decide."""
    if candidate.probability_ppm is None:
        return ""
    others = max((each.competitors for each in candidate.told), default=0)
    beside = f", {words.count(others, 'other')} compared" if others else ""
    return f"{words.chance(candidate.probability_ppm)} likely{beside}"


# ---- left


def _left(item: Item) -> list[Line]:
    source = item.source
    lines = [
        Line(field="Amount", left=f"<b>{words.money(item.amount_minor, item.currency)}</b>{_charged(item)}"),
        Line(field="Date", left=item.dated.isoformat()),
    ]
    if isinstance(source, Charge) or item.charge:
        lines += [
            Line(field="Customer", left=escape(item.customer) or QUIET),
            Line(field="E-mail", left=_address(escape(_email(item))) or QUIET),
        ]
    if item.description:
        lines.append(Line(field="Text", left=f"“{escape(item.description)}”"))
    return [*lines, Line(field="Ids", left="<br>".join(_ids(item)))]


def _charged(item: Item) -> str:
    """What the customer paid, where that is another figure."""
    source = item.source
    if not isinstance(source, Charge) or (source.amount_minor, source.currency) == (item.amount_minor, item.currency):
        return ""
    return f' <span class="s">of {words.money(source.amount_minor, source.currency)} paid</span>'


def _email(item: Item) -> str:
    payer = item.source if isinstance(item.source, Charge) else item.charge
    return (payer.customer_email or "") if payer else ""


def _ids(item: Item) -> list[str]:
    names = ("payment_intent_id", "charge_id", "movement_id", "customer_id")
    found = [item.source_id, *(getattr(item.source, name, None) for name in names)]
    return [style.identifier(object_id, words.short(object_id)) for object_id in found if object_id]


# ---- right


def _allocation(document: Document | None, document_id: str, amount_minor: int, item: Item) -> str:
    if document is None:
        return f"{escape(words.document(document_id))} is gone"
    figure = words.money(document.amount_minor, document.currency)
    rest = ""
    if document.kind == "invoice":
        rest = f' <span class="s">{words.amount(document.open_minor, document.currency)} open</span>'
    part = ""
    if amount_minor not in (document.amount_minor, document.open_minor):
        part = f' <span class="s">{words.amount(amount_minor, item.currency)} of it</span>'
    name = words.document(document_id, document.doc_number)
    return f"{style.titled(document_id, name)} <b>{figure}</b>{rest}{part}"


def _dates(document: Document) -> str:
    due = f' <span class="s">due {document.due_date.isoformat()}</span>' if document.due_date else ""
    return f"{document.dated.isoformat()}{due}"


def _address(html: str) -> str:
    """An e-mail address, which may go on in the next line before each of its parts."""
    return re.sub("(?=[@.])", "<wbr>", html)


def _unique(values: list[str]) -> str:
    return "<br>".join(escape(value) for value in dict.fromkeys(values) if value) or QUIET


# ---- cues

Cue = tuple[str | None, str]


def _amount_cue(item: Item, candidate: Candidate) -> Cue:
    """Against what reached the balance, or what the customer paid in the documents' currency."""
    documents = [document for document, _, _ in candidate.parts if document is not None]
    if not documents:
        return None, ""
    mine = {item.currency: item.amount_minor}
    if isinstance(item.source, Charge):
        mine.setdefault(item.source.currency, item.source.amount_minor)
    currency = documents[0].currency
    if currency not in mine or any(document.currency != currency for document in documents):
        return "bad", "other currency"
    theirs = sum(document.open_minor if document.kind == "invoice" else document.amount_minor for document in documents)
    gap = abs(mine[currency]) - abs(theirs)
    return ("good", "equal") if not gap else ("wait", f"{words.money(gap, currency)} apart")


def _date_cue(day: date, documents: list[Document]) -> Cue:
    if not documents:
        return None, ""
    nearest = min(((document.dated - day).days for document in documents), key=abs)
    if not nearest:
        return "good", "same day"
    apart = f"{words.count(abs(nearest), 'day')} {'later' if nearest > 0 else 'earlier'}"
    return ("good" if abs(nearest) <= 3 else "wait"), apart


def _same_cue(mine: str, theirs: list[str]) -> Cue:
    known = {value.casefold() for value in theirs if value}
    if not mine or not known:
        return None, ""
    if known == {mine.casefold()}:
        return "good", "same"
    same_words = all(sorted(re.findall(r"\w+", each)) == sorted(re.findall(r"\w+", mine.casefold())) for each in known)
    return ("good", "same words") if same_words else ("wait", "differs")


def _reference_cue(text: str, documents: list[Document]) -> Cue:
    named = [document.doc_number for document in documents if document.doc_number and document.doc_number in text]
    return ("good", f"names {', '.join(named)}") if named else (None, "")
