"""A stand-in of QuickBooks Desktop: a company file on a PC, and the Web Connector that carries its messages."""

from emulators.qbd.connector import WebConnector
from emulators.qbd.faults import Faults
from emulators.qbd.file import CompanyFile
from emulators.qbd.qwc import QwcError
from emulators.qbd.refusals import Failed, Refused

__all__ = ["CompanyFile", "Failed", "Faults", "QwcError", "Refused", "WebConnector"]
