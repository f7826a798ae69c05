"""The demo company in QuickBooks Desktop: the same story as in QuickBooks Online, in balanced books."""

from collections import Counter
from datetime import UTC, date, datetime

from emulators.desktop import open_desktop_world
from emulators.qbd.money import cents
from emulators.world import open_world

UNTIL = datetime(2026, 11, 20, 17, tzinfo=UTC)


def test_the_world_in_desktop_tells_the_story_of_the_world_online() -> None:
    with open_world(charges=60, until=UNTIL) as online, open_desktop_world(charges=60, until=UNTIL) as desktop:
        stories = [
            [
                (each.id, each.category, each.amount_minor, [paid.doc_number for paid in each.pays])
                for each in truth.charges
            ]
            for truth in (online.truth, desktop.truth)
        ]
        assert stories[0] == stories[1]
        file = desktop.file
        assert sum(file.trial_balance().values()) == 0
        assert sum(file.trial_balance(date(2026, 11, 1)).values()) == 0
        assert {paid.invoice_id for each in desktop.truth.charges for paid in each.pays} <= {
            each["TxnID"] for each in file.all("Invoice")
        }
        for account in ("Checking", "Stripe clearing", "Undeposited Funds"):
            found = online.qbo.account(account)
            assert cents(file.named("Account", account)["Balance"]) == cents(str(found["CurrentBalance"]))  # type: ignore[index]
        open_online = Counter(each["DocNumber"] for each in online.qbo.store.find("Invoice") if each["Balance"])
        open_desktop = Counter(each["RefNumber"] for each in file.all("Invoice") if each["IsPaid"] == "false")
        assert open_online == open_desktop != Counter()
