"""QuickBooks Desktop: the ledger that calls us, through its Web Connector."""
