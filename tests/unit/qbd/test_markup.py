"""XML that is meant to do harm."""

import pytest

from sync.qbd import markup, soap
from sync.qbd.markup import MarkupError

BOMB = (
    '<!DOCTYPE a [<!ENTITY a0 "ha">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    + "]><a>&a9;</a>"
)


@pytest.mark.parametrize(
    "body",
    [
        BOMB.encode(),
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'.encode("utf-16"),
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a []><a/>'.encode("utf-16-be"),
        b"<a>" * 100_000,
        b"<a>" * 1_000 + b"</a>" * 1_000,
        b"<a>\xff\xfe</a>",
        b'<?xml version="1.0" encoding="nonsense"?><a/>',
        b"<a><b></a>",
        b"",
        b"<a>" + b" " * markup.BYTES_MAX + b"</a>",
        f'<!DOCTYPE a [<!ENTITY x "{"x" * 50_000}">]><a>{"&x;" * 50_000}</a>'.encode(),
        b"<a>" + b"<b/>" * markup.MARKS_MAX + b"</a>",
        b"<a " + b" ".join(b'b%d=""' % number for number in range(markup.MARKS_MAX + 1)) + b"/>",
        '<?xml version="1.0" encoding="cp037"?><!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'.encode("cp037"),
        b'<?xml version="1.0" encoding="utf-7"?>+ADwAIQ-DOCTYPE a+AD4APA-a/+AD4-',
        '<?xml version="1.0" encoding="utf-16"?><a/>'.encode("utf-16"),
        b"<a>&undefined;</a>",
        b"<a>\x00</a>",
    ],
    ids=["bomb", "external dtd", "external entity", "utf-16", "utf-16-be", "depth", "closed depth", "bytes", "encoding",
         "not well-formed", "nothing", "size", "quadratic bomb", "elements", "attributes", "ebcdic", "utf-7",
         "utf-16 without a dtd", "undefined entity", "nul"],
)  # fmt: skip
def test_it_is_refused(body: bytes) -> None:
    with pytest.raises(MarkupError):
        markup.parse(body)


def test_what_is_just_within_the_limits_is_read() -> None:
    depth = b"<a>" * markup.DEPTH_MAX + b"</a>" * markup.DEPTH_MAX
    assert markup.parse(b'<?xml version="1.0" encoding="UTF-8"?>' + depth).tag == "a"
    assert markup.parse("\ufeff<a>é</a>".encode()).text == "é"


def test_a_large_answer_is_one_text() -> None:
    text = "x" * 12_000_000
    call = f'<e:Envelope xmlns:e="{soap.ENVELOPE}"><e:Body><receiveResponseXML xmlns="{soap.NAMESPACE}">'
    call += f"<ticket>t</ticket><response>{text}</response></receiveResponseXML></e:Body></e:Envelope>"
    operation, given = soap.read_call(call.encode())
    assert operation == "receiveResponseXML"
    assert len(given["response"]) == len(text)
    assert given["hresult"] == ""


def test_an_old_web_connector_writes_prefixes_and_types() -> None:
    call = (
        f'<s:Envelope xmlns:s="{soap.ENVELOPE}" xmlns:x="http://www.w3.org/2001/XMLSchema-instance"><s:Body>'
        f'<q1:authenticate xmlns:q1="{soap.NAMESPACE}"><strUserName x:type="s:string">ann</strUserName>'
        f"<q1:strPassword>secret</q1:strPassword></q1:authenticate></s:Body></s:Envelope>"
    )
    assert soap.read_call(call.encode()) == ("authenticate", {"strUserName": "ann", "strPassword": "secret"})


@pytest.mark.parametrize("body", ["<a/>", f'<e:Envelope xmlns:e="{soap.ENVELOPE}"><e:Body/></e:Envelope>'])
def test_what_is_no_call_is_refused(body: str) -> None:
    with pytest.raises(MarkupError):
        soap.read_call(body.encode())
