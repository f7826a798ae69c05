"""ExchangeRate: home units for one unit of a currency, from a day on. It has no Id of its own."""

from emulators.qbo.checks import Body, checked
from emulators.qbo.company import Company
from emulators.qbo.fault import missing
from emulators.qbo.money import number
from emulators.qbo.records import ordinal


def save(company: Company, request: Body) -> Body:
    body = checked("ExchangeRate", request)
    for name in ("SourceCurrencyCode", "Rate"):
        if name not in body:
            raise missing(name)
    code = body["SourceCurrencyCode"]
    company.currency_ref(code)
    body.setdefault("AsOfDate", company.records.today())
    body = shown(company, code, body["AsOfDate"], body["Rate"])
    store = company.records.store
    store.put(f"rate:{code}", body["AsOfDate"], body, created=ordinal(body["AsOfDate"]))
    store.put("ExchangeRate", f"{code}:{body['AsOfDate']}", body, created=company.records.clock.timestamp())
    return body


def read(company: Company, code: str | None, day: str | None) -> Body:
    if code is None:
        raise missing("sourcecurrencycode")
    company.currency_ref(code)
    day = day or company.records.today()
    return shown(company, code, day, number(company.rate(code, day)))


def shown(company: Company, code: str, day: str, rate: int | float) -> Body:
    return {
        "SourceCurrencyCode": code,
        "TargetCurrencyCode": company.home,
        "Rate": rate,
        "AsOfDate": day,
        "domain": "QBO",
        "sparse": False,
        "MetaData": {"LastUpdatedTime": company.records.now().isoformat(timespec="seconds")},
    }
