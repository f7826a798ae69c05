"""A stand-in of QuickBooks Online: its OAuth 2, its Accounting API, and double-entry books underneath."""

from emulators.qbo.emulator import QboEmulator
from emulators.qbo.fault import QboFault

__all__ = ["QboEmulator", "QboFault"]
