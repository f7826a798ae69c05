"""The .qwc file that makes a Web Connector visit us. Rules: Intuit's "QuickBooks Web Connector Programmer's Guide".

Address and support page are of one host, which has a name; without https only localhost will do.
"""

from urllib.parse import urlsplit

from lxml import etree

OWNER_ID = "{8d5f4a8e-3c0b-4b58-9f5e-5b3f0c5a7d21}"  # of Tieout: one for the application, never for a customer
PATH, SUPPORT_PATH = "/qbwc", "/qbwc/support"


class AddressError(ValueError):
    """The Web Connector would not accept this address; the message says what to do."""


def address(base: str) -> str:
    """Our public address as a Web Connector accepts it. Raises AddressError."""
    parts = urlsplit(base)
    host = parts.hostname or ""
    if host in ("127.0.0.1", "::1"):
        host = "localhost"
    if host != "localhost" and parts.scheme != "https":
        raise AddressError("The Web Connector visits only https addresses. Set TIEOUT_URL to the https address.")
    if ":" in host or host.replace(".", "").isdigit():
        raise AddressError("The Web Connector visits no IP address. Set TIEOUT_URL to an https address with a name.")
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def write(base: str, *, company: str, user_name: str, file_id: str, interval_minutes: int) -> bytes:
    """The file. It holds no password: that is typed into the Web Connector. Raises AddressError."""
    ours = address(base)
    root = etree.Element("QBWCXML")
    for name, text in (
        ("AppName", f"Tieout - {company}"[:60]),
        ("AppID", ""),
        ("AppURL", ours + PATH),
        ("AppDescription", "Records Stripe's payments in QuickBooks and proves the balance"),
        ("AppSupport", ours + SUPPORT_PATH),
        ("UserName", user_name),
        ("OwnerID", OWNER_ID),
        ("FileID", file_id),
        ("QBType", "QBFS"),
        ("Style", "Document"),
        ("AuthFlags", "0xF"),
        ("Notify", "false"),
    ):
        etree.SubElement(root, name).text = text
    scheduler = etree.SubElement(root, "Scheduler")
    etree.SubElement(scheduler, "RunEveryNMinutes").text = str(interval_minutes)
    etree.SubElement(root, "IsReadOnly").text = "false"
    return bytes(etree.tostring(root, xml_declaration=True, encoding="utf-8"))
