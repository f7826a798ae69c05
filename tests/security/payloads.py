"""Payloads gone wrong, each from its number: one value of a genuine one made hostile, or its bytes damaged.

The same number gives the same bytes, on every machine.
"""

import copy
import json
import random  # noqa: TID251 - of a number, so that what was found once is found again
from collections.abc import Iterator
from typing import Any

from lxml import etree

Path = tuple[Any, ...]

RAW = {  # what no JSON library writes by itself; put in where a text stands for it
    "@NaN@": "NaN",
    "@Infinity@": "-Infinity",
    "@1e400@": "1e400",
    "@long@": "9" * 5_000,
    "@deep@": "[" * 3_000 + "]" * 3_000,
    "@twice@": '{"id":"a","id":"b","amount":1,"amount":2}',
    "@surrogate@": '"\\ud800"',
    "@zero@": '"\\u0000"',
}
HOSTILE: tuple[Any, ...] = (
    *RAW, 253_402_300_799, -62_135_596_800,
    None, True, False, 0, -1, 1, 1.5, 2**31, 2**63, -(2**63) - 1, 10**18, 10**30, "", " ", "0", "1.00", "NaN",
    "x" * 5_000, "<&>'\"\\", "'; DROP TABLE mirror; --", "../../../etc/passwd", "=cmd|' /C calc'!A0", "\u202e", "id",
    "2026-13-45", "9999-12-31", "0001-01-01", "2026-11-20T25:61:61Z", [], {}, [[]], [{}], [None], {"id": None},
    {"value": None}, {"value": 7}, {"id": 7}, "USD", "XXX", "usd",
)  # fmt: skip


def chance(*name: Any) -> random.Random:
    return random.Random(":".join(map(str, name)))


def paths(value: Any, at: Path = ()) -> Iterator[Path]:
    """The way to everything in a value, itself included."""
    yield at
    for key, part in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from paths(part, (*at, key))


def changed(value: Any, at: Path, new: Any, *, gone: bool = False) -> Any:
    """A copy with another value at the end of a way, or nothing."""
    if not at:
        return new
    first, rest = at[0], at[1:]
    if isinstance(value, list):
        return [changed(part, rest, new, gone=gone) if number == first else part for number, part in enumerate(value)
                if not (gone and not rest and number == first)]  # fmt: skip
    return {
        key: changed(part, rest, new, gone=gone) if key == first else part
        for key, part in value.items()
        if not (gone and not rest and key == first)
    }


def spoiled(value: Any, draw: random.Random) -> Any:
    """One to three things in it made hostile, taken away, or put where something else was."""
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        at = draw.choice(list(paths(value))[1:] or [()])
        match draw.randrange(6):
            case 0:
                value = changed(value, at, None, gone=True)
            case 1:
                value = changed(value, at, part_of(value, draw.choice(list(paths(value)))))
            case _:
                value = changed(value, at, draw.choice(HOSTILE))
    return value


def part_of(value: Any, at: Path) -> Any:
    for key in at:
        value = value[key]
    return value


def text_of(value: Any) -> str:
    """As JSON, with what no library would write."""
    text = json.dumps(value)
    for name, raw in RAW.items():
        text = text.replace(json.dumps(name), raw)
    return text


def damaged(content: bytes, draw: random.Random) -> bytes:
    """Bytes flipped, put in, taken out, repeated or cut off."""
    for _ in range(draw.choice((1, 1, 2, 5))):
        at = draw.randrange(len(content) + 1)
        match draw.randrange(6):
            case 0:
                content = content[:at] + bytes([draw.randrange(256)]) + content[at + 1 :]
            case 1:
                content = content[:at] + draw.randbytes(draw.randrange(1, 9)) + content[at:]
            case 2:
                content = content[:at] + content[at + draw.randrange(1, 40) :]
            case 3:
                content = content[:at] + content[max(0, at - 200) : at] * 2 + content[at:]
            case 4:
                content = content[: max(1, at)]
            case _:
                content = (
                    content[:at]
                    + draw.choice((b"\x00", b"\xff", b"\xed\xa0\x80", b'"', b"{", b"<", b"&", b","))
                    + content[at:]
                )
    return content


def spoiled_xml(text: str, draw: random.Random) -> str:
    """One to three elements with hostile text, gone, doubled, under another name, or somewhere else."""
    root = etree.fromstring(text.encode())
    for _ in range(draw.choice((1, 1, 2, 3))):
        each = draw.choice(list(root.iter(etree.Element)))
        parent = each.getparent()
        match draw.randrange(8):
            case 0 if parent is not None:
                parent.remove(each)
            case 1 if parent is not None:
                parent.append(copy.deepcopy(each))
            case 2:
                each.tag = draw.choice(("Amount", "TxnID", "CheckRet", "Odd"))
            case 3 if each.attrib:
                each.set(draw.choice(each.attrib.keys()), draw.choice(("", "-1", "3200", "99999999999999999999", "x")))
            case 4:
                each.append(copy.deepcopy(draw.choice(list(root.iter(etree.Element)))))
            case _:
                each.text = draw.choice([each for each in HOSTILE if isinstance(each, str)])
    return str(etree.tostring(root, encoding="unicode"))
