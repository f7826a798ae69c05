"""Reports that people exported from Stripe and QuickBooks, read as the records the two adapters would have fetched."""
