"""Two customers become one, as a person does it in the browser: there is no request for it."""

from emulators.qbo import open_items
from emulators.qbo.company import Company

OF_CUSTOMERS = ("Invoice", "CreditMemo", "Payment", "SalesReceipt", "RefundReceipt")


def merge_customers(company: Company, gone_id: str, survivor_id: str) -> None:
    """The documents of the one are the other's afterwards, and it is inactive itself.

    Whether LastUpdatedTime of the documents moves is not documented; the switch `touch_merged` says.
    """
    records = company.records
    with records.store.transaction():
        survivor, gone = records.require("Customer", survivor_id), records.require("Customer", gone_id)
        company.must_match(gone["CurrencyRef"]["value"], survivor, "Customer")
        ref = {"value": survivor_id, "name": survivor["DisplayName"]}
        for entity in OF_CUSTOMERS:
            for body in records.store.find(entity, where={"CustomerRef": gone_id}, oldest_first=True):
                body["CustomerRef"] = ref
                records.touch(entity, body) if company.switches.touch_merged else records.rewrite(entity, body)
                open_items.rename_party(company, f"{entity}:{body['Id']}", f"Customer:{survivor_id}")
        company.books.rename_party(f"Customer:{gone_id}", f"Customer:{survivor_id}")
        gone = records.require("Customer", gone_id)
        gone |= {"Active": False, "DisplayName": f"{gone['DisplayName']} (deleted)", "Balance": 0, "BalanceWithJobs": 0}
        records.touch("Customer", gone)
        records.on_change("Customer", survivor_id, "Merge")
