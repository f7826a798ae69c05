"""The query language: what Intuit's parser takes of SQL, and what it refuses."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from lark import Lark, Token, Transformer
from lark.exceptions import LarkError

from emulators.qbo.checks import Body
from emulators.qbo.fault import QboFault, refused
from emulators.qbo.fields import ENTITY_BY_LOWER, LISTS, SHAPES, TRANSACTIONS
from emulators.qbo.records import KEYED, Records

GRAMMAR = r"""
start: "SELECT"i what "FROM"i NAME where? order? (startposition | maxresults)*
what: "COUNT"i "(" "*" ")" -> count
    | column ("," column)* -> columns
column: "*" -> star | NAME -> named
where: "WHERE"i condition ("AND"i condition)*
condition: "("? NAME OPERATOR value ")"?
         | NAME "IN"i "(" value ("," value)* ")" -> membership
         | NAME "LIKE"i value -> like
order: ("ORDERBY"i | "ORDER"i "BY"i) sort ("," sort)*
sort: NAME DIRECTION?
startposition: "STARTPOSITION"i INTEGER
maxresults: "MAXRESULTS"i INTEGER
value: STRING | BARE
DIRECTION.2: /asc\b|desc\b/i
OPERATOR: "<=" | ">=" | "=" | "<" | ">"
NAME: /[A-Za-z_][\w.]*/
INTEGER: /\d+/
STRING: /'(\\.|[^'\\])*'/
BARE: /[^\s,()'"]+/
%ignore /\s+/
"""
RESULTS_MAX, RESULTS_DEFAULT = 1000, 100

COMMON = "Id MetaData.CreateTime MetaData.LastUpdatedTime"
SALE = "DocNumber TxnDate CustomerRef TotalAmt Balance"
PERSON = (
    "DisplayName GivenName MiddleName FamilyName Suffix Title CompanyName PrintOnCheckName Active Balance "
    "PrimaryEmailAddr"
)
QUERYABLE = {
    "Invoice": f"{SALE} DueDate ShipDate",
    "SalesReceipt": f"{SALE} PaymentRefNum",
    "RefundReceipt": SALE,
    "CreditMemo": SALE,
    "Payment": "TxnDate CustomerRef TotalAmt PaymentRefNum",
    "Purchase": "DocNumber TxnDate TotalAmt PaymentType",
    "Deposit": "DocNumber TxnDate TotalAmt DepositToAccountRef",
    "Transfer": "TxnDate",
    "JournalEntry": "DocNumber TxnDate TotalAmt",
    "Customer": f"{PERSON} FullyQualifiedName Job",
    "Vendor": PERSON,
    "Account": "Name FullyQualifiedName Active AccountType AccountSubType Classification CurrentBalance AcctNum "
    "SubAccount Description",
    "Item": "Name FullyQualifiedName Active Type Sku UnitPrice",
    "Class": "Name FullyQualifiedName Active",
    "Department": "Name FullyQualifiedName Active",
    "PaymentMethod": "Name Active Type",
    "Term": "Name Active",
    "TaxCode": "Name Active",
    "TaxRate": "Name Active",
    "CompanyCurrency": "Code Name Active",
    "ExchangeRate": "SourceCurrencyCode TargetCurrencyCode AsOfDate",
    "CompanyInfo": "CompanyName",
    "Preferences": "",
}


@dataclass
class Condition:
    name: str
    operator: str
    values: list[str]


@dataclass
class Query:
    entity: str = ""
    count: bool = False
    columns: list[str] = field(default_factory=list)  # empty for all
    conditions: list[Condition] = field(default_factory=list)
    order: list[tuple[str, bool]] = field(default_factory=list)  # (name, descending)
    start: int = 1
    limit: int = RESULTS_DEFAULT


class _Reader(Transformer[Token, Query]):
    """Turns the parse tree into a Query; each method is a rule of the grammar."""

    def value(self, children: list[Token]) -> str:
        text = str(children[0])
        return re.sub(r"\\(.)", r"\1", text[1:-1]) if children[0].type == "STRING" else text

    def condition(self, children: list[Any]) -> Condition:
        return Condition(str(children[0]), str(children[1]), [children[2]])

    def membership(self, children: list[Any]) -> Condition:
        return Condition(str(children[0]), "IN", children[1:])

    def like(self, children: list[Any]) -> Condition:
        return Condition(str(children[0]), "LIKE", [children[1]])

    def sort(self, children: list[Token]) -> tuple[str, bool]:
        return str(children[0]), len(children) > 1 and children[1].lower() == "desc"

    def count(self, _children: list[Any]) -> tuple[str, object]:
        return "count", True

    def star(self, _children: list[Any]) -> str:
        return "*"

    def named(self, children: list[Token]) -> str:
        return str(children[0])

    def columns(self, children: list[str]) -> tuple[str, object]:
        return "columns", [] if "*" in children else children

    def where(self, children: list[Condition]) -> tuple[str, object]:
        return "conditions", children

    def order(self, children: list[tuple[str, bool]]) -> tuple[str, object]:
        return "order", children

    def startposition(self, children: list[Token]) -> tuple[str, object]:
        return "start", max(int(children[0]), 1)

    def maxresults(self, children: list[Token]) -> tuple[str, object]:
        return "limit", int(children[0])

    def start(self, children: list[Any]) -> Query:
        what, name, *clauses = children
        return Query(entity=str(name), **dict([what, *clauses]))


PARSER = Lark(GRAMMAR, parser="lalr", transformer=_Reader())


def parse(text: str) -> Query:
    try:
        query = PARSER.parse(text)
    except LarkError as error:
        detail = str(error).splitlines()[0]
        raise refused(4000, "Error parsing query", f"QueryParserError: {detail}") from None
    assert isinstance(query, Query)
    entity = ENTITY_BY_LOWER.get(query.entity.lower())
    if entity is None:
        raise not_valid(f"Entity {query.entity} is not known")
    query.entity = entity
    known = (f"{COMMON} {QUERYABLE[entity]}").split()
    for name in [condition.name for condition in query.conditions] + [name for name, _ in query.order]:
        if name not in known:
            raise not_valid(
                f"Property {name} not found for Entity {entity}"
                if name.split(".")[0] not in SHAPES[entity]
                else f"property '{name}' is not queryable"
            )
    for name in query.columns:
        if name.split(".")[0] not in SHAPES[entity]:
            raise not_valid(f"Property {name} not found for Entity {entity}")
    if query.limit > RESULTS_MAX:
        raise not_valid(f"MAXRESULTS must be at most {RESULTS_MAX}")
    return query


def not_valid(detail: str) -> QboFault:
    return refused(4001, "Invalid query", f"QueryValidationError: {detail}")


# --- evaluation -------------------------------------------------------------------------------------------------------


def run(records: Records, text: str) -> Body:
    """The QueryResponse."""
    query = parse(text)
    tests = [_test(records, condition) for condition in query.conditions]
    if query.entity in LISTS and not any(condition.name == "Active" for condition in query.conditions):
        tests.append(lambda body: body.get("Active", True) is True)
    if query.count:
        simple = not tests and query.entity in TRANSACTIONS
        total = records.store.count(query.entity) if simple else len(_matching(records, query, tests))
        return {"totalCount": total}
    found = _matching(records, query, tests)
    for name, descending in reversed(query.order):
        found.sort(key=lambda body, name=name: _sort_key(_lookup(body, name)), reverse=descending)  # type: ignore[misc]
    page = found[query.start - 1 : query.start - 1 + query.limit]
    if not page:
        return {}
    rows = [_chosen(body, query.columns) for body in page]
    return {query.entity: rows, "startPosition": query.start, "maxResults": len(rows)}


def _matching(records: Records, query: Query, tests: list[Callable[[Body], bool]]) -> list[Body]:
    return [body for body in _candidates(records, query, bool(tests)) if all(test(body) for test in tests)]


def _candidates(records: Records, query: Query, filtered: bool) -> list[Body]:
    """Narrowed by an index where one fits: an id, a key, the time of the last change."""
    for condition in query.conditions:
        if condition.name == "Id" and condition.operator in ("=", "IN"):
            ids = sorted(set(condition.values), key=lambda text: (len(text), text))
            return [body for object_id in ids if (body := records.get(query.entity, object_id))]
    for condition in query.conditions:
        if condition.name in KEYED and condition.operator == "=":
            return records.store.find(query.entity, where={condition.name: condition.values[0]}, oldest_first=True)
    end = query.start + query.limit - 1
    for condition in query.conditions:
        if condition.name == "MetaData.LastUpdatedTime" and condition.operator in (">", ">="):
            enough = end if _walks_in_time(query, condition) else None
            return records.changed_since(query.entity, _instant(records, condition.values[0]), enough)
    limit = end if not (filtered or query.order or query.count) else None
    return records.store.find(query.entity, oldest_first=True, limit=limit)


def _walks_in_time(query: Query, since: Condition) -> bool:
    """Whether what changed first comes first and nothing is left out, so that the rest need not be looked at."""
    others = [each for each in query.conditions if each is not since]
    all_of_them = all(each.name == "Active" and {*map(str.lower, each.values)} == {"true", "false"} for each in others)
    return all_of_them and since.operator == ">=" and query.order == [("MetaData.LastUpdatedTime", False)]


def _lookup(body: Body, name: str) -> Any:
    value: Any = body
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, dict):
        return value.get("value", value.get("Address"))
    return value


def _sort_key(value: Any) -> tuple[int, Any, str]:
    if value is None:
        return 0, 0, ""
    if isinstance(value, (int, float)):
        return 1, value, ""
    return (1, int(value), "") if value.isdigit() else (2, 0, str(value).casefold())


def _chosen(body: Body, columns: list[str]) -> Body:
    if not columns:
        return body
    names = {"domain", "sparse", *(name.split(".")[0] for name in columns)}
    return {name: value for name, value in body.items() if name in names} | {"sparse": True}


COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda left, right: bool(left == right),
    "IN": lambda left, right: bool(left == right),
    "<": lambda left, right: bool(left < right),
    ">": lambda left, right: bool(left > right),
    "<=": lambda left, right: bool(left <= right),
    ">=": lambda left, right: bool(left >= right),
}


def _test(records: Records, condition: Condition) -> Callable[[Body], bool]:
    name = condition.name
    if condition.operator == "LIKE":
        parts = [re.escape(part) for part in condition.values[0].split("%")]
        pattern = re.compile(".*".join(parts), re.IGNORECASE | re.DOTALL)
        return lambda body: pattern.fullmatch(str(_lookup(body, name) or "")) is not None
    compare = COMPARE[condition.operator]
    read = _reader_for(records, name)
    wanted = [read(value) for value in condition.values]

    def holds(body: Body) -> bool:
        value = _lookup(body, name)
        return value is not None and any(compare(read(value), other) for other in wanted)

    return holds


def _reader_for(records: Records, name: str) -> Callable[[Any], Any]:
    """How values of a property are compared: as instants, numbers, flags or texts."""
    if name.startswith("MetaData."):
        return lambda value: _instant(records, value)
    kinds = {kind for shape in SHAPES.values() for field_name, kind in shape.items() if field_name == name}
    if name == "Id" or "n" in kinds:
        return _number
    if "b" in kinds:
        return lambda value: str(value).lower()
    return str


def _number(value: Any) -> Decimal | str:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise refused(4002, "Error processing query", f"QueryProcessingError: {value} is not a number") from None


def _instant(records: Records, text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise refused(4002, "Error processing query", f"QueryProcessingError: {text} is not a time") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=records.zone)
