"""The Accounting API without HTTP: one method an endpoint, each giving the body of the answer or raising QboFault."""

import hashlib
import json
from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from emulators.qbo import documents, query, rates
from emulators.qbo.checks import Body
from emulators.qbo.company import Company
from emulators.qbo.fault import QboFault, invalid, missing, refused, stopped_at_gateway
from emulators.qbo.fields import ENTITY_BY_LOWER, SINGLES

BATCH_MAX, CDC_MAX, CDC_DAYS = 30, 1000, 30
REQUEST_ID_MAX, BATCH_REQUEST_ID_MAX, BID_MAX = 50, 36, 10
REQUESTS_A_MINUTE, REQUESTS_A_SECOND, BATCHES_A_MINUTE = 500, 10, 40
Params = Mapping[str, str]


def _digest(asked: Any) -> str:
    """What a request asks for, whatever the order of its fields."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()


class Api:
    def __init__(self, company: Company, realm_id: str) -> None:
        self.company, self.records, self.realm_id = company, company.records, realm_id
        self._asked: deque[float] = deque(maxlen=REQUESTS_A_MINUTE)
        self._batches: deque[float] = deque(maxlen=BATCHES_A_MINUTE)

    # --- entities -----------------------------------------------------------------------------------------------------

    def write(self, name: str, params: Params, body: Body) -> Body:
        """POST /<entity>: what is done depends on `operation`, `include` and whether there is an Id."""
        entity = self.entity(name)

        def do() -> Body:
            if entity == "ExchangeRate":
                return self._envelope({entity: rates.save(self.company, body)})
            return self._envelope({entity: self.operate(entity, params.get("operation", ""), params, body)})

        return self._once(params.get("requestid"), REQUEST_ID_MAX, [entity, params.get("operation", ""), body], do)

    def operate(self, entity: str, operation: str, params: Params, body: Body) -> Body:
        included = params.get("include", "").split(",")
        if operation == "delete":
            return documents.delete(self.company, entity, body)
        if operation == "void" or "void" in included:
            return documents.void(self.company, entity, body)
        if operation not in ("", "create", "update"):
            raise refused(500, "Unsupported Operation", f"Operation {operation} is not supported.")
        if operation == "update" or (operation == "" and (body.get("Id") or entity in SINGLES)):
            return documents.update(self.company, entity, body)
        return documents.create(self.company, entity, body, allow_duplicate="allowduplicatedocnum" in included)

    def read(self, name: str, object_id: str | None, params: Params) -> Body:
        entity = self.entity(name)
        if entity == "ExchangeRate":
            found = rates.read(self.company, params.get("sourcecurrencycode"), params.get("asofdate"))
            return self._envelope({entity: found})
        if entity in SINGLES and object_id in (None, self.realm_id):
            object_id = "1"
        if object_id is None:
            raise missing("Id")
        return self._envelope({entity: self.records.require(entity, object_id)})

    def entity(self, name: str) -> str:
        entity = ENTITY_BY_LOWER.get(name.lower())
        if entity is None:
            raise refused(500, "Unsupported Operation", f"Operation for resource {name} is not supported.")
        return entity

    # --- many at once -------------------------------------------------------------------------------------------------

    def query(self, text: str) -> Body:
        return self._envelope({"QueryResponse": query.run(self.records, text)})

    def changes(self, params: Params) -> Body:
        """GET /cdc: what changed since, at most 1,000 objects over all entities asked for."""
        names = [name for name in params.get("entities", "").split(",") if name.strip()]
        if not names:
            raise missing("entities")
        since = self._since(params.get("changedSince"))
        room = CDC_MAX
        answers: list[Body] = []
        for name in names:
            entity = self.entity(name.strip())
            rows = self.records.changed_since(entity, since) + self.records.deleted_since(entity, since)
            rows = sorted(rows, key=lambda body: datetime.fromisoformat(body["MetaData"]["LastUpdatedTime"]))[:room]
            room -= len(rows)
            answers.append(
                {entity: rows, "startPosition": 1, "maxResults": len(rows), "totalCount": len(rows)} if rows else {}
            )
        return self._envelope({"CDCResponse": [{"QueryResponse": answers}]})

    def _since(self, text: str | None) -> datetime:
        if not text:
            raise missing("changedSince")
        try:
            since = datetime.fromisoformat(text.replace(" ", "+"))
        except ValueError:
            raise invalid("changedSince", f"{text} is not a time") from None
        since = since if since.tzinfo else since.replace(tzinfo=self.records.zone)
        if since < self.records.now() - timedelta(days=CDC_DAYS):
            raise refused(2030, "Invalid value", f"changedSince reaches back at most {CDC_DAYS} days.", "changedSince")
        return since

    def batch(self, params: Params, body: Body) -> Body:
        items = body.get("BatchItemRequest")
        if not isinstance(items, list) or not items:
            raise missing("BatchItemRequest")
        if len(items) > BATCH_MAX:
            raise refused(
                1040, "Batch size exceeded", f"A batch has at most {BATCH_MAX} items; this one has {len(items)}."
            )
        if "requestid" in params and any(len(str(item.get("bId", ""))) > BID_MAX for item in items):
            raise refused(2130, "Invalid request id", f"With requestid, a bId has at most {BID_MAX} characters.")
        names = [str(item.get("bId", "")) for item in items]
        if len(set(names)) != len(names):
            raise refused(2030, "Invalid value", "Every item of a batch needs its own bId.", "bId")

        def do() -> Body:
            return self._envelope({"BatchItemResponse": [self._batch_item(item) for item in items]})

        return self._once(params.get("requestid"), BATCH_REQUEST_ID_MAX, body, do)

    def _batch_item(self, item: Body) -> Body:
        """An item that fails leaves the others as they are."""
        number = {"bId": item["bId"]} if "bId" in item else {}
        try:
            if "Query" in item:
                return {"QueryResponse": query.run(self.records, item["Query"])} | number
            entity = next((name for name in map(ENTITY_BY_LOWER.get, map(str.lower, item)) if name), None)
            if entity is None:
                raise missing("BatchItemRequest entity")
            body = next(value for name, value in item.items() if name.lower() == entity.lower())
            params = {"include": item.get("optionsData") or ""}
            return {entity: self.operate(entity, item.get("operation") or "create", params, body)} | number
        except QboFault as fault:
            return fault.body | number

    # --- the whole request --------------------------------------------------------------------------------------------

    def _envelope(self, body: Body) -> Body:
        return body | {"time": self.records.now().isoformat(timespec="milliseconds")}

    def _once(self, request_id: str | None, length_max: int, asked: Any, do: Any) -> Body:
        """A repeated requestid gives the first answer again, and writes nothing. A refusal is not kept.

        What Intuit does with another body under a known id is not documented: here it is refused, so that tests see it.
        """
        if not request_id:
            return do()  # type: ignore[no-any-return]
        if len(request_id) > length_max:
            raise refused(2130, "Invalid request id", f"requestid has at most {length_max} characters.", "requestid")
        store = self.records.store
        with store.transaction():
            answered = None if self.company.switches.forget_request_ids else store.get("request", request_id)
            if answered is None:
                answered = {"answer": do(), "asked": _digest(asked)}
                store.put("request", request_id, answered, created=self.records.clock.timestamp())
        if "asked" not in answered:  # kept by a version that did not keep what was asked: the answer is all there is
            return answered
        if answered["asked"] != _digest(asked):
            raise refused(2130, "Invalid request id", f"{request_id} was used for another request.", "requestid")
        answer: Body = answered["answer"]
        return answer

    def throttle(self, *, batch: bool = False) -> None:
        """What Intuit allows a company in any minute or second, when switched on."""
        if not self.company.switches.throttle:
            return
        now = self.records.clock.now().timestamp()
        limits = [(self._asked, REQUESTS_A_MINUTE, 60), (self._asked, REQUESTS_A_SECOND, 1)]
        limits += [(self._batches, BATCHES_A_MINUTE, 60)] if batch else []
        if any(
            sum(at > now - window_s for at in list(asked)[-number:]) >= number for asked, number, window_s in limits
        ):
            raise stopped_at_gateway(429, 3001, "ThrottleExceeded", "Too many requests; wait 60 seconds.")
        self._asked.append(now)
        if batch:
            self._batches.append(now)
