"""What the causes of storage.problems are called, what is to be done about each, and what waits for it. Pure."""

from storage.problems import Cause

# What waits, as one and as several.
NOUNS = {
    "mapping": ("entry", "entries"),
    "closed": ("entry", "entries"),
    "rate": ("entry", "entries"),
    "by_hand": ("entry", "entries"),
    "refused": ("posting", "postings"),
    "doubtful": ("posting", "postings"),
    "unreadable": ("object", "objects"),
    "unfetched": ("object", "objects"),
    "unknown": ("event", "events"),
    "to_stripe": ("invoice", "invoices"),
    "customers": ("customer", "customers"),
}
STATES = {"doubtful": "info", "unknown": "wait", "by_hand": "wait", "rate": "wait"}  # the others are problems
REFUSED = {
    "reference": "QuickBooks refused them: something they name is inactive or gone there.",
    "closed_period": "QuickBooks refused them: the books are closed for their dates.",
    "permission": "QuickBooks refused them: the user who connected Tieout may not do this.",
    "subscription": "QuickBooks refused them: its subscription has a problem.",
    "number": "QuickBooks refused them: it has documents with these numbers already.",
    "currency": "QuickBooks refused them: their currency does not fit the customer or the account.",
}
TITLES = {
    "closed": "The books are closed for the days these belong to.",
    "rate": "An exchange rate is missing.",
    "doubtful": "The answer was lost: nobody knows yet whether these arrived in QuickBooks.",
    "unknown": "Stripe sent events of a kind Tieout does not know. Nothing was changed by them.",
    "customers": "QuickBooks did not take these customers of Stripe.",
}
ADVICE = {
    "reconnect": "Nothing is synced until it is connected again. Nothing is lost meanwhile.",
    "silent": "Start the Web Connector on the computer with QuickBooks, and choose Update Selected.",
    "sync": "Whatever was done is kept; the next sync goes on from there.",
    "mapping": "Choose another one: what waits goes on by itself with the next sync.",
    "closed": "Reopen them in QuickBooks (Settings, Account and settings, Advanced, Accounting), then check again; or "
    "have what belongs to a closed period dated the first open day.",
    "rate": "Enter the rate of the day in QuickBooks (Settings, Currencies), then ask again.",
    "by_hand": "Record them in QuickBooks, then match them in Review, or ignore them there with a reason.",
    "refused": "Mend the cause, then try again: they are decided anew, and each document is written once.",
    "doubtful": "Tieout looks for each by its marker before anything is sent again. You need do nothing.",
    "unreadable": "They are kept as they came. Mend them where they are from, or update Tieout, then try again.",
    "unfetched": "Mend the cause, then try again.",
    "unknown": "Look at them in Stripe. If they mean nothing to the books, take them off this list.",
    "to_stripe": "Mend the cause in QuickBooks or Stripe, then try again.",
    "customers": "Pick the customer in QuickBooks that each of them is, or free the name, then try again.",
}


def title(cause: Cause, side: str = "") -> str:
    """What happened, in a sentence. `side` names the connection it is about."""
    if cause.kind == "refused":
        return REFUSED.get(cause.key) or cause.text or "QuickBooks refused them without a reason."
    if cause.kind == "unreadable":
        return f"{side or 'The other side'} has objects that Tieout cannot read."
    if cause.kind == "sync":
        return f"The last sync did not go through. {cause.text}"
    return TITLES.get(cause.kind) or cause.text


def advice(cause: Cause) -> str:
    """What to do about it."""
    if cause.kind == "mapping" and not cause.count:
        return "Nothing waits for it yet. Choose another one before something does."
    return ADVICE[cause.kind]


def state(cause: Cause) -> str:
    return STATES.get(cause.kind, "bad")


def waiting(cause: Cause) -> str:
    """How many wait: "31 postings"; empty if none does."""
    one, several = NOUNS.get(cause.kind, ("", ""))
    return f"{cause.count:,} {one if cause.count == 1 else several}" if cause.count else ""
