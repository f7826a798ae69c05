"""The shapes of the Desktop stand-in are those of Intuit's XSD, for every message it takes or gives."""

from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulators.qbd.schema import shape_of
from emulators.qbd.shapes import REQUESTS, RETS, SHAPES
from tests.contract.qbd_schema import complaints

pytestmark = pytest.mark.specs
VALUES = {
    "amt": "12.30", "qty": "1.5", "rate": "1.0845", "bool": "true", "int": "1", "date": "2026-11-20",
    "time": "2026-11-20T09:30:00", "guid": "{57F3B9B1-86F1-4FCC-B1EE-566DE1813D20}", "id": "80000013-1416570432",
}  # fmt: skip


def element(draw: Any, name: str, kind: str) -> Element:
    """Any element of that kind."""
    made = Element(name)
    if kind not in SHAPES:
        made.text = VALUES.get(kind) or ("x" * int(kind) if kind.isdigit() else draw(st.sampled_from(kind.split("/"))))
        return made
    shape = shape_of(kind)
    for child in draw(st.from_regex(shape.pattern, fullmatch=True)).strip("<>").split("><"):
        if child:
            made.append(element(draw, child, shape.kinds[child]))
    return made


def message(body: Element, direction: str) -> str:
    root = Element("QBXML")
    top = ElementTree.SubElement(root, f"QBXMLMsgs{direction}", {"onError": "stopOnError"} if direction == "Rq" else {})
    top.append(body)
    return ElementTree.tostring(root, encoding="unicode")


FEW = settings(max_examples=6, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("name", sorted(REQUESTS))
def test_what_it_takes_is_what_intuit_takes(name: str) -> None:
    @FEW
    @given(st.data())
    def check(data: st.DataObject) -> None:
        text = message(element(data.draw, f"{name}Rq", f"{name}Rq"), "Rq")
        assert not complaints(text), text

    check()


@pytest.mark.parametrize("name", sorted(set(RETS) - {"DataExt", "ItemService", "ItemOtherCharge", "ItemDiscount"}))
def test_what_it_gives_is_what_intuit_gives(name: str) -> None:
    status = {"statusCode": "0", "statusSeverity": "Info", "statusMessage": "Status OK"}

    @FEW
    @given(st.data())
    def check(data: st.DataObject) -> None:
        answer = Element(f"{name}QueryRs", status)
        answer.append(element(data.draw, f"{name}Ret", f"{name}Ret"))
        assert not complaints(message(answer, "Rs"))

    check()
