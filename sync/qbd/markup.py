"""XML from strangers, read without harm: no DTD, no entities of its own, a limit on bytes and on depth.

The Web Connector's envelope and the qbXML inside it both come through here.
"""

from lxml import etree

BYTES_MAX = 16_000_000
DEPTH_MAX = 60  # qbXML nests about ten deep


class MarkupError(ValueError):
    """Not XML that we read: too large, too deep, with a DTD, or not well-formed."""


def parse(body: bytes) -> etree._Element:
    """The root of a document. Raises MarkupError."""
    if len(body) > BYTES_MAX:
        raise MarkupError(f"More than {BYTES_MAX:,} bytes.")
    try:
        # Character by character in ASCII, and as UTF-16 writes it; before any parser sees it.
        if b"<!DOCTYPE" in body or b"<\x00!\x00D\x00O" in body or b"\x00<\x00!\x00D\x00O" in body:
            raise MarkupError("It has a DTD.")
        parser = etree.XMLParser(
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=True,  # an answer of QuickBooks is one text of up to 16 MB
            remove_comments=True,
            remove_pis=True,
        )
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise error if isinstance(error, MarkupError) else MarkupError("It is not well-formed XML.") from None
    if root.getroottree().docinfo.doctype:
        raise MarkupError("It has a DTD.")
    if _depth(root) > DEPTH_MAX:
        raise MarkupError(f"It is nested deeper than {DEPTH_MAX}.")
    return root


def _depth(root: etree._Element) -> int:
    deepest, depth = 0, 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        deepest = max(deepest, depth)
        if deepest > DEPTH_MAX:
            break
    return deepest


def local(element: etree._Element) -> str:
    """An element's name without its namespace."""
    return str(etree.QName(element).localname)
