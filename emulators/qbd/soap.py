"""Calls a web service as the .NET client in the Web Connector does: what it sends, and what it takes for an answer.

Behaviour as measured with a proxy that mono generated from Intuit's own WSDL.
"""

import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

NAMESPACE = "http://developer.intuit.com/"
ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
AGENT = "Mozilla/4.0 (compatible; MSIE 6.0; MS Web Services Client Protocol 4.0.30319.42000)"
TIMEOUT_S = 100.0

# The parameters of each operation, in order.
OPERATIONS = {
    "serverVersion": (),
    "clientVersion": ("strVersion",),
    "authenticate": ("strUserName", "strPassword"),
    "sendRequestXML": (
        "ticket", "strHCPResponse", "strCompanyFileName", "qbXMLCountry", "qbXMLMajorVers", "qbXMLMinorVers",
    ),
    "receiveResponseXML": ("ticket", "response", "hresult", "message"),
    "connectionError": ("ticket", "hresult", "message"),
    "getLastError": ("ticket",),
    "closeConnection": ("ticket",),
}  # fmt: skip


class WebException(Exception):  # noqa: N818 - as .NET calls it
    """The call fails in the .NET client, with its words."""


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes


class Line:
    """HTTP as the .NET client speaks it: no redirects followed, no cookies, nothing decompressed."""

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self.timeout_s = timeout_s

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        return self._send("POST", url, body, headers)

    def get(self, url: str) -> Reply:
        return self._send("GET", url, None, {})

    def _send(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        if parts.scheme == "https":
            context = ssl.create_default_context()
            line: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=self.timeout_s, context=context
            )
        else:
            line = http.client.HTTPConnection(host, port, timeout=self.timeout_s)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            line.request(method, path, body, dict(headers))
            answer = line.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, named, answer.read())
        except TimeoutError:
            raise WebException("The operation has timed out") from None
        except (OSError, http.client.HTTPException) as error:
            raise WebException(f"The underlying connection was closed: {error!r}") from None
        finally:
            line.close()


Argument = str | int | None
Result = str | int | list[str | None] | None


class SoapClient:
    def __init__(self, url: str, line: Line) -> None:
        self.url, self.line = url, line

    def call(self, operation: str, *arguments: Argument) -> Result:
        """Null for what .NET takes for null. Raises WebException."""
        headers = {
            "User-Agent": AGENT,
            "Content-Type": "text/xml; charset=utf-8",
            "SOAPAction": f'"{NAMESPACE}{operation}"',
            "Expect": "100-continue",
        }
        reply = self.line.post(self.url, envelope(operation, arguments), headers)
        return _result(operation, _body(reply))


def envelope(operation: str, arguments: tuple[Argument, ...]) -> bytes:
    named = zip(OPERATIONS[operation], arguments, strict=True)
    inner = "".join(f"<{name}>{_escaped(value)}</{name}>" for name, value in named if value is not None)
    call = (
        f'<{operation} xmlns="{NAMESPACE}">{inner}</{operation}>' if inner else f'<{operation} xmlns="{NAMESPACE}" />'
    )
    spaces = (
        f'xmlns:soap="{ENVELOPE}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
    )
    head = '<?xml version="1.0" encoding="utf-8"?>'
    return f"{head}<soap:Envelope {spaces}><soap:Body>{call}</soap:Body></soap:Envelope>".encode()


def _escaped(value: str | int) -> str:
    return escape(str(value), {"\r": "&#xD;"})


def _body(reply: Reply) -> Element:
    """What is in the Body of the answer's envelope."""
    media_type = reply.headers.get("content-type", "")
    if reply.status not in (200, 500):
        raise WebException(f"The request failed with HTTP status {reply.status}.")
    if media_type.partition(";")[0].strip().lower() != "text/xml":
        if reply.status == 500:
            raise WebException("The request failed with HTTP status 500.")
        raise WebException(f"Client found response content type of '{media_type}', but expected 'text/xml'.")
    charset = media_type.partition("charset=")[2].strip().strip('"') or "ascii"
    text = reply.body.decode(charset, "replace")
    try:
        if text[:1].isspace():
            raise ElementTree.ParseError("there is something before the XML declaration")
        root = ElementTree.fromstring(text.encode())  # noqa: S314 - the answer of the service under test
    except ElementTree.ParseError as error:
        raise WebException(f"Response is not well-formed XML. ({error})") from None
    body = root.find(f"{{{ENVELOPE}}}Body")
    if root.tag != f"{{{ENVELOPE}}}Envelope" or body is None:
        raise WebException("The response is not a SOAP envelope.")
    fault = body.find(f"{{{ENVELOPE}}}Fault")
    if fault is not None:
        raise WebException(fault.findtext("faultstring", ""))
    if reply.status == 500:
        raise WebException("The request failed with HTTP status 500: Internal Server Error.")
    return body


def _result(operation: str, body: Element) -> Result:
    """By names in Intuit's namespace exactly: what is called otherwise is not there."""
    response = body.find(f"{{{NAMESPACE}}}{operation}Response")
    result = None if response is None else response.find(f"{{{NAMESPACE}}}{operation}Result")
    if operation == "receiveResponseXML":
        text = "" if result is None else (result.text or "")
        if not text.strip().lstrip("-").isdigit():
            raise WebException(f"Input string was not in a correct format: {text!r}")
        return int(text)
    if result is None or result.get(NIL) in ("true", "1"):
        return None
    if operation == "authenticate":
        items = result.findall(f"{{{NAMESPACE}}}string")
        return [None if item.get(NIL) in ("true", "1") else item.text or "" for item in items]
    return result.text or ""
