"""The routes of the Web Connector: its SOAP service, the description of that, and the page of support.

No redirect, no compression, no HTML where XML is expected: the Web Connector understands none of it.
"""

import logging
from html import escape

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from sync.environment import Environment, hooks_url
from sync.qbd import qwc, soap
from sync.qbd.markup import BYTES_MAX, MarkupError
from sync.qbd.visits import Visits

XML = "text/xml; charset=utf-8"

log = logging.getLogger(__name__)


def routes(environment: Environment) -> list[Route]:
    visits = Visits(environment)

    async def serve(request: Request) -> Response:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > BYTES_MAX:
                return _fault("The call is too large.", status=413)
        return await run_in_threadpool(answer, visits, bytes(body))

    async def describe(request: Request) -> Response:
        return Response(soap.wsdl(str(request.url.replace(query=""))), media_type=None, headers={"Content-Type": XML})

    async def support(request: Request) -> Response:
        return HTMLResponse(await run_in_threadpool(_support_page, str(request.base_url).rstrip("/")))

    return [
        Route(qwc.PATH, serve, methods=["POST"]),
        Route(qwc.PATH, describe, methods=["GET"]),
        Route(qwc.SUPPORT_PATH, support, methods=["GET"]),
    ]


def answer(visits: Visits, body: bytes) -> Response:
    try:
        operation, given = soap.read_call(body)
    except MarkupError as error:
        return _fault(str(error), status=500)
    try:
        answer = soap.write_result(operation, visits.call(operation, given))
    except Exception:
        # Whatever it is of our own: the Web Connector gets XML, and nothing that was sent is in the log.
        log.exception("web connector: %s", operation)
        return _fault("Tieout met an error of its own. Update again later; nothing is lost.", status=500)
    return Response(answer, headers={"Content-Type": XML})


def _fault(text: str, *, status: int) -> Response:
    return Response(soap.write_fault(text), status_code=status, headers={"Content-Type": XML})


def _support_page(reached_at: str) -> str:
    """What the Web Connector opens without a login; says whether it will accept this address."""
    base = hooks_url() or reached_at
    try:
        verdict = f"The Web Connector can visit {qwc.address(base)}{qwc.PATH}."
    except qwc.AddressError as error:
        verdict = str(error)
    steps = (
        "QuickBooks must be running with the company file open.",
        "In the Web Connector: choose Add an application and open the .qwc file from Tieout's page Connections.",
        "Type the password that Tieout showed once; a new one can be made on the same page.",
        "Tick the box beside Tieout and choose Update selected.",
    )
    items = "".join(f"<li>{escape(step)}</li>" for step in steps)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Tieout and the QuickBooks Web Connector</title>'
        f"<h1>Tieout and the QuickBooks Web Connector</h1><p>{escape(verdict)}</p><ol>{items}</ol></html>"
    )
