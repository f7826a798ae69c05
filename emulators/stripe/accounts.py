"""The account itself."""

from emulators.stripe.errors import Body, no_such
from emulators.stripe.office import Office
from emulators.stripe.params import Params


def retrieve(office: Office, _: Params, id: str | None = None) -> Body:  # noqa: A002
    account = office.account
    if id not in (None, account.id):
        raise no_such("account", str(id))
    texts = dict.fromkeys(("statement_descriptor", "statement_descriptor_kana", "statement_descriptor_kanji"))
    return {
        "id": account.id, "object": "account", "business_profile": None, "business_type": "company",
        "capabilities": {"card_payments": "active", "transfers": "active"}, "charges_enabled": True,
        "controller": {"type": "account"}, "country": account.country, "created": 1_600_000_000,
        "default_currency": account.default_currency, "details_submitted": True, "email": account.email,
        "metadata": {}, "payouts_enabled": True,
        "settings": {
            "branding": dict.fromkeys(("icon", "logo", "primary_color", "secondary_color")),
            "card_payments": {
                "decline_on": {"avs_failure": False, "cvc_failure": True}, "statement_descriptor_prefix": None,
                "statement_descriptor_prefix_kana": None, "statement_descriptor_prefix_kanji": None,
            },
            "dashboard": {"display_name": account.name, "timezone": account.timezone},
            "payments": texts | {"statement_descriptor_prefix_kana": None, "statement_descriptor_prefix_kanji": None},
            "payouts": {
                "debit_negative_balances": account.debit_negative_balances,
                "schedule": {"delay_days": account.payout_delay_days, "interval": account.payout_interval},
                "statement_descriptor": None,
            },
        },
        "type": "standard",
    }  # fmt: skip
