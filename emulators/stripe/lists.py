"""The list envelope: cursors, ranges, pages."""

from collections.abc import Mapping, Sequence

from emulators.stripe.errors import Body, invalid, no_such
from emulators.stripe.office import Office
from emulators.stripe.params import Params

PAGING = ("limit", "starting_after", "ending_before")


def page(
    office: Office, kind: str, params: Params, url: str, where: Mapping[str, str | None] | None = None,
    oldest_created: int | None = None,
) -> Body:  # fmt: skip
    """A page of what is stored, newest first."""
    limit = page_limit(params)
    after, before = _cursor(office, kind, params, "starting_after"), _cursor(office, kind, params, "ending_before")
    low, high = created_range(params)
    if oldest_created is not None:
        low = max(low or 0, oldest_created)
    found = office.store.find(
        kind,
        where={name: value for name, value in (where or {}).items() if value is not None},
        created_gte=low,
        created_lte=high,
        older_than=after,
        newer_than=before,
        oldest_first=before is not None,
        limit=limit + 1,
    )
    return envelope([office.render(body) for body in in_order(found, limit, before)], url, len(found) > limit)


def in_order(found: list[Body], limit: int, before: str | None) -> list[Body]:
    """Found backwards from a cursor, shown newest first all the same."""
    return found[:limit][::-1] if before is not None else found[:limit]


def slice_of(items: Sequence[Body], params: Params, url: str) -> Body:
    """A page of a sublist that is at hand, in its own order."""
    limit = page_limit(params)
    ids = [item["id"] for item in items]
    after, before = params.text("starting_after"), params.text("ending_before")
    for name, cursor in (("starting_after", after), ("ending_before", before)):
        if cursor and cursor not in ids:
            raise no_such("item", cursor, name, status=400)
    if before:
        rest = list(items[: ids.index(before)])
        return envelope(rest[-limit:], url, len(rest) > limit)
    rest = list(items[ids.index(after) + 1 if after else 0 :])
    return envelope(rest[:limit], url, len(rest) > limit)


def envelope(data: list[Body], url: str, has_more: bool = False) -> Body:
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def page_limit(params: Params) -> int:
    limit = params.integer("limit")
    if limit is None:
        return 10
    if not 1 <= limit <= 100:
        message = f"This value must be between 1 and 100, got {limit}."
        raise invalid(message, param="limit", code="parameter_invalid_integer")
    return limit


def _cursor(office: Office, kind: str, params: Params, name: str) -> str | None:
    cursor = params.text(name)
    if cursor is not None:
        office.named(kind, cursor, name)
        if params.text("starting_after") and params.text("ending_before"):
            raise invalid("You can only use one of starting_after and ending_before.", param=name)
    return cursor


def created_range(params: Params, name: str = "created") -> tuple[int | None, int | None]:
    """Both ends included; `created=5` is exactly 5."""
    if isinstance(params.values.get(name), str):
        exact = params.integer(name)
        return exact, exact
    bounds = params.part(name)
    bounds.only(("gt", "gte", "lt", "lte"))
    above, below = bounds.integer("gt"), bounds.integer("lt")
    lows = [bound for bound in (bounds.integer("gte"), None if above is None else above + 1) if bound is not None]
    highs = [bound for bound in (bounds.integer("lte"), None if below is None else below - 1) if bound is not None]
    return max(lows, default=None), min(highs, default=None)
