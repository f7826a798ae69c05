"""The .qwc file, and what the Web Connector checks before it takes an application on (codes as it shows them)."""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit
from xml.etree import ElementTree

REQUIRED = ("AppName", "AppID", "AppURL", "AppDescription", "AppSupport", "UserName", "OwnerID", "FileID", "QBType")
OPTIONAL = (
    "AppDisplayName", "AppUniqueName", "AuthFlags", "CertURL", "IsReadOnly", "Notify", "PersonalDataPref",
    "UnattendedModePref", "Scheduler", "Style",
)  # fmt: skip
GUID = re.compile(r"\{[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}")
LOCAL = ("localhost",)
DESCRIPTION_MAX = 80


class QwcError(Exception):
    """The application is not added. `code` as in "QBWC1010"."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"QBWC{code}: {text}")
        self.code = code


@dataclass(frozen=True)
class Qwc:
    app_name: str
    app_url: str
    support_url: str
    user_name: str
    owner_id: str
    file_id: str
    interval_s: int | None  # None: no schedule, a person presses Update
    is_read_only: bool


def parse(text: str) -> Qwc:
    """Raises QwcError for everything that can be seen without the network."""
    try:
        root = ElementTree.fromstring(text.encode())  # noqa: S314 - the stand-in reads what a test hands it
    except ElementTree.ParseError as error:
        raise QwcError(1039, f"The .qwc file is not XML: {error}") from None
    values = {str(child.tag): (child.text or "").strip() for child in root}
    _check_elements(str(root.tag), [str(child.tag) for child in root], values)
    _check_addresses(values["AppURL"], values["AppSupport"])
    scheduler = root.find("Scheduler")
    return Qwc(
        values["AppName"], values["AppURL"], values["AppSupport"], values["UserName"], values["OwnerID"],
        values["FileID"], None if scheduler is None else _interval_s(scheduler), values.get("IsReadOnly") == "true",
    )  # fmt: skip


def _check_elements(root: str, names: list[str], values: dict[str, str]) -> None:
    missing = [name for name in REQUIRED if name not in values]
    strange = [name for name in names if name not in (*REQUIRED, *OPTIONAL) or names.count(name) > 1]
    if root != "QBWCXML" or missing or strange:
        raise QwcError(1039, f"The root is {root}, missing: {missing}, unknown or double: {strange}")
    empty = [name for name in ("AppName", "AppURL", "AppSupport", "UserName") if not values[name]]
    if empty or len(values["AppDescription"]) > DESCRIPTION_MAX:
        raise QwcError(1039, f"Empty: {empty}; the description has {len(values['AppDescription'])} characters")
    for name in ("OwnerID", "FileID"):
        if not GUID.fullmatch(values[name]):
            raise QwcError(1039, f"{name} is no GUID in braces: {values[name]}")
    if values["QBType"] not in ("QBFS", "QBPOS") or values.get("Style", "Document") not in (
        "Document", "DocWrapped", "RPC",
    ):  # fmt: skip
        raise QwcError(1039, f"QBType {values['QBType']}, Style {values.get('Style')}")


def _check_addresses(app_url: str, support_url: str) -> None:
    app, support = urlsplit(app_url), urlsplit(support_url)
    for code, url in ((1001, app), (1002, support)):
        if _is_ip(url.hostname or ""):
            raise QwcError(code, f"An address must be a name, not {url.hostname}")
    if (app.hostname or "") != (support.hostname or ""):
        raise QwcError(1000, f"AppURL is on {app.hostname}, AppSupport on {support.hostname}")
    if app.scheme != "https" and not (app.scheme == "http" and app.hostname in LOCAL):
        raise QwcError(1010, f"{app_url} is not https")


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _interval_s(scheduler: ElementTree.Element) -> int:
    """The first of the two counts."""
    for child in scheduler:
        if child.tag in ("RunEveryNMinutes", "RunEveryNSeconds") and (child.text or "").strip().isdigit():
            return int(str(child.text)) * (60 if child.tag == "RunEveryNMinutes" else 1)
    raise QwcError(1039, "The Scheduler has neither RunEveryNMinutes nor RunEveryNSeconds")
