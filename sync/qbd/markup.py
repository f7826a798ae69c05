"""XML from strangers, read without harm: UTF-8 alone, no DTD, no entities of its own, a limit on bytes, on elements, on
attributes and on depth. All but the depth is seen in the bytes, before any parser sees them.

The Web Connector's envelope and the qbXML inside it both come through here.
"""

import re

from lxml import etree

BYTES_MAX = 16_000_000
DEPTH_MAX = 60  # qbXML nests about ten deep
MARKS_MAX = 600_000  # signs that may begin an element or a value: a node of the parser's is as large as thirty bytes
ENCODING = re.compile(rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([^"']*)""")
TOO_DEEP = etree.XPath(f"boolean(/{'/'.join(['*'] * (DEPTH_MAX + 1))})")


class MarkupError(ValueError):
    """Not XML that we read: too large, too deep, with a DTD, or not well-formed."""


def parse(body: bytes) -> etree._Element:
    """The root of a document. Raises MarkupError."""
    _check(body)
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=True,  # an answer of QuickBooks is one text of up to 16 MB
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise MarkupError("It is not well-formed XML.") from None
    if root.getroottree().docinfo.doctype:
        raise MarkupError("It has a DTD.")
    if TOO_DEEP(root):
        raise MarkupError(f"It is nested deeper than {DEPTH_MAX}.")
    return root


def _check(body: bytes) -> None:
    """Raises MarkupError for what no parser should be given."""
    if len(body) > BYTES_MAX:
        raise MarkupError(f"More than {BYTES_MAX:,} bytes.")
    declared = ENCODING.match(body[:200])
    if declared is not None and declared[1].lower() not in (b"utf-8", b"us-ascii"):
        raise MarkupError("It is not in UTF-8.")
    if b"<!DOCTYPE" in body:
        raise MarkupError("It has a DTD.")
    if body.count(b"<") > MARKS_MAX or body.count(b"=") > MARKS_MAX:
        raise MarkupError(f"It has more than {MARKS_MAX:,} elements or values.")


def local(element: etree._Element) -> str:
    """An element's name without its namespace."""
    return str(etree.QName(element).localname)
