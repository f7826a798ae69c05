"""How the Desktop stand-in speaks qbXML: what it refuses whole, message sets, iterators, times, locks, statuses."""

from datetime import UTC, datetime, timedelta

import pytest

from emulators.clock import Clock
from emulators.qbd import CompanyFile, Failed
from tests.contract.qbd_file import (
    APPLICATION,
    NOON,
    answers,
    ask,
    ask_one,
    customer,
    message,
    new_file,
    payment_xml,
    sale,
    status,
    texts,
)

ALL = "<CustomerQueryRq><ActiveStatus>All</ActiveStatus></CustomerQueryRq>"

BROKEN = {
    "no version": message(ALL).replace('<?qbxml version="13.0"?>', ""),
    "a version above": message(ALL, version="14.0"),
    "an unknown request": message("<CustomerEatRq/>"),
    "wrong order": message("<CustomerQueryRq><OwnerID>0</OwnerID><MaxReturned>1</MaxReturned></CustomerQueryRq>"),
    "the filter of invoices for customers": message(
        "<CustomerQueryRq><ModifiedDateRangeFilter/></CustomerQueryRq>"
    ),
    "one decimal": message("<TransferAddRq><TransferAdd><Amount>1.5</Amount></TransferAdd></TransferAddRq>"),
    "a time zone Z": message(
        "<CustomerQueryRq><FromModifiedDate>2026-11-20T00:00:00Z</FromModifiedDate></CustomerQueryRq>"
    ),
    "a long RefNumber": message(
        f"<TransferAddRq/><InvoiceQueryRq><RefNumber>{'x' * 21}</RefNumber></InvoiceQueryRq>"
    ),
    "rollbackOnError": message(ALL, 'onError="rollbackOnError"'),
    "no onError": message(ALL, ""),
    "characters beyond ISO-8859-1": message("<CustomerQueryRq><FullName>Žofie</FullName></CustomerQueryRq>"),
    "a document type": "<!DOCTYPE a>" + message(ALL),
    "half a message": message(ALL)[:-20],
    "neither applied nor automatic": message(
        "<ReceivePaymentAddRq><ReceivePaymentAdd><CustomerRef/></ReceivePaymentAdd></ReceivePaymentAddRq>"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_malformed_message_set_does_nothing_at_all(case: str) -> None:
    session = new_file().begin_session(APPLICATION)
    with pytest.raises(Failed) as failure:
        session.process(BROKEN[case])
    assert failure.value.hresult == ("0x80040428" if case == "a version above" else "0x80040400")


def test_what_cannot_be_stored_becomes_question_marks() -> None:
    file = new_file()
    ask_one(file, "<CustomerAddRq><CustomerAdd><Name>&#381;ofie Mu&#241;oz</Name></CustomerAdd></CustomerAddRq>")
    assert texts(ask_one(file, ALL), "CustomerRet/Name") == ["?ofie Muñoz"]


# --- message sets ---


def paid(file: CompanyFile) -> int:
    return len(file.all("ReceivePayment"))


def company_with_invoice() -> tuple[CompanyFile, str]:
    file = new_file()
    ann = customer(file)
    return file, payment_xml(ann, sale(file, "Invoice", ann, "100.00"), "40.00")


def test_a_message_set_is_done_once_and_its_answer_given_again() -> None:
    file, add = company_with_invoice()
    first = ask(file, add, 'newMessageSetID="s1" onError="stopOnError"')
    again = ask(file, add, 'newMessageSetID="s1" onError="stopOnError"')
    check = ask(file, "", 'newMessageSetID="s1" oldMessageSetID="s1" onError="stopOnError"')
    for answer in (again, check):
        assert answer.get("messageSetStatusCode") == "0"
        assert texts(answer, "*/ReceivePaymentRet/TxnID") == texts(first, "*/ReceivePaymentRet/TxnID") != []
    assert paid(file) == 1


def test_without_an_id_the_same_bytes_are_done_twice() -> None:
    file, add = company_with_invoice()
    ask(file, add)
    ask(file, add)
    assert paid(file) == 2


def test_other_bytes_under_the_same_id_are_not_done() -> None:
    file, add = company_with_invoice()
    ask(file, add, 'newMessageSetID="s1" onError="stopOnError"')
    other = ask(file, add.replace("ch_1", "ch_2"), 'newMessageSetID="s1" onError="stopOnError"')
    assert (other.get("messageSetStatusCode"), len(other), paid(file)) == ("9001", 0, 1)


def test_asking_by_the_old_id_alone_forgets_what_was_done() -> None:
    """The trap: it looks like a status check, and the next sending is done again."""
    file, add = company_with_invoice()
    ask(file, add, 'newMessageSetID="s1" onError="stopOnError"')
    ask(file, "", 'oldMessageSetID="s1" onError="stopOnError"')
    check = ask(file, "", 'newMessageSetID="s1" oldMessageSetID="s1" onError="stopOnError"')
    assert check.get("messageSetStatusCode") == "600"
    ask(file, add, 'newMessageSetID="s1" onError="stopOnError"')
    assert paid(file) == 2


def test_an_id_can_be_too_long_and_a_state_can_be_gone() -> None:
    file, add = company_with_invoice()
    long = ask(file, add, f'newMessageSetID="{"s" * 24}" onError="stopOnError"')
    assert (long.get("messageSetStatusCode"), paid(file)) == ("9004", 0)
    backup = file.backup()
    ask(file, add, 'newMessageSetID="s1" onError="stopOnError"')
    assert paid(file) == 1
    file.restore(backup)
    check = ask(file, "", 'newMessageSetID="s1" oldMessageSetID="s1" onError="stopOnError"')
    assert (check.get("messageSetStatusCode"), paid(file)) == ("600", 0)


def test_only_the_last_states_may_be_kept() -> None:
    file, add = company_with_invoice()
    file.switches.message_sets_kept = 1
    for number in ("s1", "s2"):
        ask(file, add, f'newMessageSetID="{number}" onError="stopOnError"')
    codes = [
        ask(file, "", f'newMessageSetID="{number}" oldMessageSetID="{number}" onError="stopOnError"')
        for number in ("s1", "s2")
    ]
    assert [each.get("messageSetStatusCode") for each in codes] == ["600", "0"]


@pytest.mark.parametrize(("how", "done"), [("stopOnError", 1), ("continueOnError", 2)])
def test_an_error_stops_the_rest_or_not(how: str, done: int) -> None:
    file, add = company_with_invoice()
    refused = add.replace("40.00", "400.00")
    answered = ask(file, add + refused + add, f'onError="{how}"')
    assert [status(each)[0] for each in answered] == ([0, 3210] if done == 1 else [0, 3210, 0])
    assert paid(file) == done


# --- iterators ---


def page(step: str, iterator_id: str = "", size: int = 2) -> str:
    name = f' iteratorID="{iterator_id}"' if iterator_id else ""
    return f'<CustomerQueryRq iterator="{step}"{name}><MaxReturned>{size}</MaxReturned></CustomerQueryRq>'


def test_an_iterator_gives_each_page_once_and_dies_with_its_session() -> None:
    file = new_file()
    for name in ("Ann", "Bob", "Cid", "Dan", "Eve"):
        customer(file, name)
    session = file.begin_session(APPLICATION)
    (first,) = answers(session.process(message(page("Start"))))
    iterator_id = first.get("iteratorID", "")
    assert (texts(first, "CustomerRet/Name"), first.get("iteratorRemainingCount")) == (["Ann", "Bob"], "3")
    customer(file, "Fay")  # not among what was found at the start
    file.delete("Customer", file.named("Customer", "Dan")["ListID"])  # type: ignore[index]
    (second,) = answers(session.process(message(page("Continue", iterator_id))))
    assert (texts(second, "CustomerRet/Name"), second.get("iteratorRemainingCount")) == (["Cid"], "1")
    session.end()
    late = ask_one(file, page("Continue", iterator_id))
    assert status(late) == (3391, f'The iteratorID "{iterator_id}" is not valid.')


def test_an_iterator_may_die_of_idleness() -> None:
    clock = Clock(NOON)
    file = new_file(clock, iterator_idle_s=10)
    for name in ("Ann", "Bob", "Cid"):
        customer(file, name)
    session = file.begin_session(APPLICATION)
    (first,) = answers(session.process(message(page("Start", size=1))))
    clock.advance(timedelta(seconds=11))
    (late,) = answers(session.process(message(page("Continue", first.get("iteratorID", "")))))
    assert status(late)[0] == 3391


# --- times ---


def test_summer_times_are_printed_with_the_offset_of_winter_and_filters_go_by_the_wall() -> None:
    clock = Clock(datetime(2026, 7, 1, 13, 30, tzinfo=UTC))
    file = new_file(clock)
    customer(file)
    (shown,) = texts(ask_one(file, ALL), "CustomerRet/TimeModified")
    assert shown == "2026-07-01T09:30:00-05:00"

    def found(bounds: str) -> int:
        return len(ask_one(file, f"<CustomerQueryRq>{bounds}</CustomerQueryRq>"))

    assert found(f"<FromModifiedDate>{shown[:19]}</FromModifiedDate>") == 1
    assert found(f"<ToModifiedDate>{shown[:19]}</ToModifiedDate>") == 1
    assert found("<FromModifiedDate>2026-07-01</FromModifiedDate><ToModifiedDate>2026-07-01</ToModifiedDate>") == 1
    assert found("<FromModifiedDate>2026-07-01T09:30:01</FromModifiedDate>") == 0
    assert found(f"<FromModifiedDate>{shown}</FromModifiedDate>") == 0  # the wrong offset is obeyed: an hour is lost


@pytest.mark.parametrize("touches", [True, False])
def test_a_payment_may_or_may_not_count_as_a_change_of_its_invoice(touches: bool) -> None:
    clock = Clock(NOON)
    file = new_file(clock, payments_touch_invoices=touches)
    ann = customer(file)
    invoice = sale(file, "Invoice", ann, "100.00")
    clock.advance(timedelta(minutes=1))
    ask_one(file, payment_xml(ann, invoice, "100.00"))
    after = file.get("Invoice", invoice["TxnID"])
    assert after is not None
    assert after["IsPaid"] == "true"
    assert (after["EditSequence"] != invoice["EditSequence"]) == touches


# --- statuses ---


def test_what_is_in_use_or_changed_since_is_not_changed() -> None:
    file = new_file(current_in_stale=True)
    ann = customer(file)

    def mod(sequence: str) -> tuple[int, str]:
        fields = f"<ListID>{ann['ListID']}</ListID><EditSequence>{sequence}</EditSequence><Notes>x</Notes>"
        return status(ask_one(file, f"<CustomerModRq><CustomerMod>{fields}</CustomerMod></CustomerModRq>"))

    seen = []
    for words in range(4):
        file.lock(ann["ListID"], words)
        seen.append(mod(ann["EditSequence"])[0])
    assert seen == [3175, 3176, 3170, 3180]
    file.unlock(ann["ListID"])
    assert mod(ann["EditSequence"])[0] == 0
    assert mod(ann["EditSequence"]) == (3200, f'The provided edit sequence "{ann["EditSequence"]}" is out-of-date.')


def test_statuses_of_what_is_not_there() -> None:
    file = new_file()
    ann = customer(file)
    assert status(ask_one(file, "<InvoiceQueryRq/>"))[0] == 1
    partly = ask_one(file, "<CustomerQueryRq><FullName>Ann</FullName><FullName>Bob</FullName></CustomerQueryRq>")
    assert (status(partly)[0], len(partly)) == (500, 1)
    add = "<CustomerAddRq><CustomerAdd><Name>{}</Name></CustomerAdd></CustomerAddRq>"
    assert status(ask_one(file, add.format("ann")))[0] == 3100
    unknown = payment_xml({"ListID": "80000099-1"}, {"TxnID": "1-1"}, "1.00")
    assert status(ask_one(file, unknown))[0] == 3140
    assert status(ask_one(file, payment_xml(ann, {"TxnID": "1-1"}, "1.00")))[0] == 3120
    gone = "<TxnDelRq><TxnDelType>ReceivePayment</TxnDelType><TxnID>1-1</TxnID></TxnDelRq>"
    assert status(ask_one(file, gone))[0] == 3120


def test_custom_fields_are_defined_added_once_changed_and_touch_their_customer() -> None:
    file = new_file()
    ann = customer(file)
    head = "<OwnerID>0</OwnerID><DataExtName>Stripe ID</DataExtName>"

    def write(kind: str, value: str) -> int:
        target = f"<ListDataExtType>Customer</ListDataExtType><ListObjRef><ListID>{ann['ListID']}</ListID></ListObjRef>"
        body = f"<{kind}>{head}{target}<DataExtValue>{value}</DataExtValue></{kind}>"
        return status(ask_one(file, f"<{kind}Rq>{body}</{kind}Rq>"))[0]

    assert write("DataExtAdd", "cus_1") == 3140
    kind = "<DataExtType>STR255TYPE</DataExtType><AssignToObject>Customer</AssignToObject>"
    ask_one(file, f"<DataExtDefAddRq><DataExtDefAdd>{head}{kind}</DataExtDefAdd></DataExtDefAddRq>")
    assert [write("DataExtAdd", "cus_1"), write("DataExtAdd", "cus_2"), write("DataExtMod", "cus_3")] == [0, 3180, 0]
    found = ask_one(file, "<CustomerQueryRq><FullName>Ann</FullName><OwnerID>0</OwnerID></CustomerQueryRq>")
    assert texts(found, "CustomerRet/DataExtRet/DataExtValue") == ["cus_3"]
    assert texts(found, "CustomerRet/EditSequence") != [ann["EditSequence"]]


def test_the_company_says_who_it_is_and_sessions_can_be_refused() -> None:
    file = new_file()
    answered = ask(file, "<HostQueryRq/><CompanyQueryRq/><PreferencesQueryRq/>")
    assert texts(answered, "CompanyQueryRs/CompanyRet/CompanyName") == ["Larkspur Studio LLC"]
    assert texts(answered, "HostQueryRs/HostRet/SupportedQBXMLVersion")[-1] == "13.0"
    file.set(single_user=True)
    with pytest.raises(Failed) as failure:
        file.begin_session(APPLICATION)
    assert failure.value.hresult == "0x80040410"
