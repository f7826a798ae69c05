"""What qbXML 13.0 may look like, by Intuit's own XSD: the oracle of the Desktop stand-in, in both directions.

TIEOUT_SPECS names a folder; its subfolder `qbxml` holds qbxmlops130.xsd and what it includes.
"""

import os
from functools import cache
from pathlib import Path

from lxml import etree


@cache
def schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(Path(os.environ["TIEOUT_SPECS"]) / "qbxml" / "qbxmlops130.xsd"))


def complaints(text: str) -> list[str]:
    """What the XSD finds wrong in a message."""
    document = etree.fromstring(text.encode())
    return [] if schema().validate(document) else [error.message for error in schema().error_log]


def inspect(text: str) -> None:
    assert not complaints(text), (complaints(text), text[:2_000])
