"""Events: kept 30 days, found by type and by whether they were delivered."""

from emulators.stripe.errors import Body, invalid, no_such
from emulators.stripe.lists import created_range, envelope, in_order, page, page_limit
from emulators.stripe.office import Office
from emulators.stripe.params import Params
from emulators.stripe.settings import DAY_S, EVENT_DAYS

LIST_PARAMS = ("created", "delivery_success", "type", "types")
TYPES_MAX = 20


def oldest(office: Office) -> int:
    return office.now() - EVENT_DAYS * DAY_S


def retrieve(office: Office, _: Params, id: str) -> Body:  # noqa: A002
    event = office.get("event", id)
    if event["created"] < oldest(office):
        raise no_such("event", id)
    return office.render(event)


def list_(office: Office, params: Params) -> Body:
    types, where = params.texts("types"), {}
    for name in ("starting_after", "ending_before"):
        cursor = params.text(name)
        if cursor and office.named("event", cursor, name)["created"] < oldest(office):
            raise no_such("event", cursor, name, status=400)
    if types and "type" in params:
        raise invalid("You may only specify one of these parameters: type, types.", param="types")
    if len(types) > TYPES_MAX:
        raise invalid(f"You may specify at most {TYPES_MAX} types.", param="types")
    if "delivery_success" in params:
        where["_delivered"] = "true" if params.boolean("delivery_success") else "false"
    if types:
        return _merged(office, params, types, where)
    where |= _of_type(params.text("type"))
    return page(office, "event", params, "/v1/events", where, oldest_created=oldest(office))


def _of_type(pattern: str | None) -> dict[str, str]:
    """`charge.refunded`, or `charge.*`, or `charge.dispute.*`."""
    if pattern is None or pattern == "*":
        return {}
    if not pattern.endswith(".*"):
        return {"type": pattern}
    family = pattern.removesuffix(".*")
    return {"_subfamily" if "." in family else "_family": family}


def _merged(office: Office, params: Params, types: list[str], where: dict[str, str]) -> Body:
    """A page each of several types, merged in order."""
    limit = page_limit(params)
    after, before = params.text("starting_after"), params.text("ending_before")
    low, high = created_range(params)
    found = [
        event
        for pattern in types
        for event in office.store.find(
            "event", where=where | _of_type(pattern), created_gte=max(low or 0, oldest(office)), created_lte=high,
            older_than=after, newer_than=before, oldest_first=before is not None, limit=limit + 1,
        )
    ]  # fmt: skip
    unique = {event["id"]: event for event in found}.values()
    ordered = sorted(unique, key=lambda event: (event["created"], event["_n"]), reverse=before is None)
    shown = [office.render(event) for event in in_order(ordered, limit, before)]
    return envelope(shown, "/v1/events", len(ordered) > limit)
