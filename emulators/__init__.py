"""Stand-ins for the other companies' computers: Stripe and QuickBooks Online on loopback.

They speak the vendors' wire formats, keep their state in one SQLite file, and import nothing of the product,
so that any client can be tested against them.
"""
