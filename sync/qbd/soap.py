"""The Web Connector's SOAP 1.1: its eight operations, our WSDL of them, its envelopes read and ours written.

Names, order and namespace are Intuit's (its "QuickBooks Web Connector Programmer's Guide"); a proxy that .NET generates
reads an answer in any other shape as nothing at all.
"""

from collections.abc import Mapping

from lxml import etree

from sync.qbd.markup import MarkupError, local, parse

NAMESPACE = "http://developer.intuit.com/"
ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
WSDL = "http://schemas.xmlsoap.org/wsdl/"
SOAP = "http://schemas.xmlsoap.org/wsdl/soap/"
XSD = "http://www.w3.org/2001/XMLSchema"

# operation -> (its parameters, the type of its result)
OPERATIONS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "serverVersion": ((), "string"),
    "clientVersion": (("strVersion",), "string"),
    "authenticate": (("strUserName", "strPassword"), "ArrayOfString"),
    "sendRequestXML": (
        ("ticket", "strHCPResponse", "strCompanyFileName", "qbXMLCountry", "qbXMLMajorVers", "qbXMLMinorVers"),
        "string",
    ),
    "receiveResponseXML": (("ticket", "response", "hresult", "message"), "int"),
    "connectionError": (("ticket", "hresult", "message"), "string"),
    "getLastError": (("ticket",), "string"),
    "closeConnection": (("ticket",), "string"),
}
INTEGERS = ("qbXMLMajorVers", "qbXMLMinorVers")

Result = str | int | list[str]


def read_call(body: bytes) -> tuple[str, dict[str, str]]:
    """The operation and its parameters, by name. Raises MarkupError.

    Children are known by their local names: old Web Connectors write them with another prefix, or with types.
    """
    envelope = parse(body)
    content = next((each for each in envelope if local(each) == "Body"), None)
    if local(envelope) != "Envelope" or content is None or not len(content):
        raise MarkupError("It is no SOAP envelope.")
    call = content[0]
    operation = local(call)
    if operation not in OPERATIONS:
        raise MarkupError(f"{operation[:60]} is no operation of the Web Connector.")
    given = {local(each): each.text or "" for each in call}
    return operation, {name: given.get(name, "") for name in OPERATIONS[operation][0]}


def write_result(operation: str, result: Result) -> bytes:
    content = etree.Element(f"{{{NAMESPACE}}}{operation}Response", nsmap={None: NAMESPACE})
    holder = etree.SubElement(content, f"{{{NAMESPACE}}}{operation}Result")
    if isinstance(result, list):
        for each in result:
            etree.SubElement(holder, f"{{{NAMESPACE}}}string").text = each
    else:
        holder.text = str(result)
    return _envelope(content)


def write_fault(text: str) -> bytes:
    """For what is no proper call; everything else is answered, and explained by getLastError."""
    fault = etree.Element(f"{{{ENVELOPE}}}Fault")
    etree.SubElement(fault, "faultcode").text = "soap:Client"
    etree.SubElement(fault, "faultstring").text = text
    return _envelope(fault)


def wsdl(address: str) -> bytes:
    """The service's description, for a client that is generated from it."""
    root = etree.Element(
        f"{{{WSDL}}}definitions",
        {"targetNamespace": NAMESPACE, "name": "TieoutWebConnector"},
        nsmap={"wsdl": WSDL, "soap": SOAP, "xsd": XSD, "tns": NAMESPACE},
    )
    schema = etree.SubElement(
        etree.SubElement(root, f"{{{WSDL}}}types"),
        f"{{{XSD}}}schema",
        {"targetNamespace": NAMESPACE, "elementFormDefault": "qualified"},
    )
    for operation, (parameters, result) in OPERATIONS.items():
        _element(schema, operation, [(name, "int" if name in INTEGERS else "string") for name in parameters])
        _element(schema, f"{operation}Response", [(f"{operation}Result", result)])
    array = etree.SubElement(schema, f"{{{XSD}}}complexType", name="ArrayOfString")
    strings = {"name": "string", "type": "xsd:string", "nillable": "true", "minOccurs": "0", "maxOccurs": "unbounded"}
    etree.SubElement(etree.SubElement(array, f"{{{XSD}}}sequence"), f"{{{XSD}}}element", strings)
    for operation in OPERATIONS:
        for name, element in ((f"{operation}SoapIn", operation), (f"{operation}SoapOut", f"{operation}Response")):
            part = {"name": "parameters", "element": f"tns:{element}"}
            etree.SubElement(etree.SubElement(root, f"{{{WSDL}}}message", name=name), f"{{{WSDL}}}part", part)
    _bind(root, address)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="utf-8"))


def _element(schema: etree._Element, name: str, fields: list[tuple[str, str]]) -> None:
    element = etree.SubElement(schema, f"{{{XSD}}}element", name=name)
    sequence = etree.SubElement(etree.SubElement(element, f"{{{XSD}}}complexType"), f"{{{XSD}}}sequence")
    for field, kind in fields:
        named = f"tns:{kind}" if kind == "ArrayOfString" else f"xsd:{kind}"
        times = {"minOccurs": "1" if kind == "int" else "0", "maxOccurs": "1"}
        etree.SubElement(sequence, f"{{{XSD}}}element", {"name": field, "type": named} | times)


def _bind(root: etree._Element, address: str) -> None:
    port = etree.SubElement(root, f"{{{WSDL}}}portType", name="WebConnectorSoap")
    for operation in OPERATIONS:
        offered = etree.SubElement(port, f"{{{WSDL}}}operation", name=operation)
        etree.SubElement(offered, f"{{{WSDL}}}input", message=f"tns:{operation}SoapIn")
        etree.SubElement(offered, f"{{{WSDL}}}output", message=f"tns:{operation}SoapOut")
    binding = etree.SubElement(root, f"{{{WSDL}}}binding", {"name": "WebConnectorSoap", "type": "tns:WebConnectorSoap"})
    etree.SubElement(binding, f"{{{SOAP}}}binding", transport="http://schemas.xmlsoap.org/soap/http")
    for operation in OPERATIONS:
        bound = etree.SubElement(binding, f"{{{WSDL}}}operation", name=operation)
        action = {"soapAction": f"{NAMESPACE}{operation}", "style": "document"}
        etree.SubElement(bound, f"{{{SOAP}}}operation", action)
        for direction in ("input", "output"):
            etree.SubElement(etree.SubElement(bound, f"{{{WSDL}}}{direction}"), f"{{{SOAP}}}body", use="literal")
    service = etree.SubElement(root, f"{{{WSDL}}}service", name="TieoutWebConnector")
    served = {"name": "WebConnectorSoap", "binding": "tns:WebConnectorSoap"}
    etree.SubElement(etree.SubElement(service, f"{{{WSDL}}}port", served), f"{{{SOAP}}}address", location=address)


def _envelope(content: etree._Element) -> bytes:
    root = etree.Element(f"{{{ENVELOPE}}}Envelope", nsmap={"soap": ENVELOPE})
    etree.SubElement(root, f"{{{ENVELOPE}}}Body").append(content)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="utf-8"))
