"""What XML that is meant to do harm costs us: `python -m benchmarks.xml` prints a line of JSON for each attack.

Each is sent to the SOAP service as a network would bring it, in pieces of 64 KB: `status` is what it answers (500 is
the Fault of SOAP, 413 too large), `read_bytes` how much of it was read, `grew_mb` by how much the process has grown.
"""

import asyncio
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path
from typing import Any

from storage.engine import open_database
from storage.vault import open_vault
from sync.clock import FixedClock, SystemRng
from sync.environment import Environment
from sync.qbd.markup import BYTES_MAX
from sync.web import hooks_app

PIECE = 65_536
LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
EXTERNAL = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'
ENVELOPE = b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>'


def attacks() -> dict[str, Iterator[bytes]]:
    """By name, in pieces, so that what they take is not of our making."""
    full = BYTES_MAX // PIECE
    return {
        "external entity": iter([EXTERNAL.encode()]),
        "external dtd": iter([b'<!DOCTYPE a SYSTEM "http://localhost:1/a.dtd"><a/>']),
        "billion laughs": iter([f'<!DOCTYPE a [<!ENTITY a0 "ha">{LAUGHS}]><a>&a9;</a>'.encode()]),
        "quadratic": chain([b'<!DOCTYPE a [<!ENTITY x "', b"x" * PIECE, b'">]><a>'], repeat(b"&x;" * 20_000, 100)),
        "utf-16": iter([f'<?xml version="1.0" encoding="utf-16"?>{EXTERNAL}'.encode("utf-16")]),
        "broken utf-8": iter([b"<a>\xff\xfe</a>"]),
        "depth": repeat(b"<a>" * (PIECE // 3), full),
        "elements": chain([ENVELOPE], repeat(b"<a/>" * (PIECE // 4), full - 1)),
        "attributes": chain([b"<a "], (_attributes(number) for number in range(full - 40))),
        "one text": chain([ENVELOPE, b"<a>"], repeat(b"x" * PIECE, full - 1)),
        "100 MB": chain([ENVELOPE, b"<a>"], repeat(b"x" * PIECE, 100_000_000 // PIECE)),
    }


def _attributes(number: int) -> bytes:
    return b"".join(b' a%d=""' % each for each in range(number * 6_000, number * 6_000 + 6_000))


async def send(app: Any, pieces: Iterator[bytes]) -> tuple[int, int]:
    """(status of the answer, how many bytes were read)."""
    read, answered = 0, []

    async def receive() -> Any:
        nonlocal read
        piece = next(pieces, b"")
        read += len(piece)
        return {"type": "http.request", "body": piece, "more_body": bool(piece)}

    async def answer(message: Any) -> None:
        answered.append(message)

    scope = {"type": "http", "method": "POST", "path": "/qbwc", "headers": [], "query_string": b""}
    await app(scope, receive, answer)
    return answered[0]["status"], read


def measure() -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        environment = Environment(
            data_dir=Path(folder),
            demo=True,
            database=open_database(None, data_dir=Path(folder)),
            vault=open_vault(Path(folder)),
            clock=FixedClock(),
            rng=SystemRng(),
        )
        app = hooks_app(environment)
        for name, pieces in attacks().items():
            before, start = _peak_mb(), time.perf_counter()
            status, read = asyncio.run(send(app, pieces))
            seconds = round(time.perf_counter() - start, 3)
            grew = _peak_mb() - before
            yield {"attack": name, "status": status, "read_bytes": read, "seconds": seconds, "grew_mb": grew}
        environment.database.close()


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    for each in measure():
        print(json.dumps(each), flush=True)
