"""The shapes of qbXML 13.0 messages, as far as the stand-in goes: which elements, in which order, holding what.

They read like Intuit's reference: `?` at most once, `*` any number, `+` at least one, `|` either. `Name:41` is text of
at most 41 characters; other kinds are listed in `schema.TYPES`; `A/B` is one of these words. A name without a kind is
a shape of its own, else one of LEAVES, else (…Ref) a reference to a list.
"""

LEAVES = {
    **dict.fromkeys(("ListID", "TxnID", "TxnLineID", "PaymentTxnID", "PaymentTxnLineID", "CreditTxnID"), "id"),
    **dict.fromkeys(("TimeCreated", "TimeModified", "TimeDeleted", "FromModifiedDate", "ToModifiedDate"), "time"),
    **dict.fromkeys(("FromDeletedDate", "ToDeletedDate"), "time"),
    **dict.fromkeys(("TxnDate", "DueDate", "FromTxnDate", "ToTxnDate", "ServiceDate", "ClosingDate"), "date"),
    **dict.fromkeys(("MaxReturned", "Sublevel", "TxnNumber", "DataExtID"), "int"),
    **dict.fromkeys(
        ("Amount", "TotalAmount", "PaymentAmount", "AppliedAmount", "BalanceRemaining", "Balance", "TotalBalance",
         "Subtotal", "SalesTaxTotal", "CreditRemaining", "UnusedPayment", "UnusedCredits", "DepositTotal", "TaxAmount",
         "DiscountAmount", "RefundAmount", "OpenBalance", "CreditLimit", "FromAccountBalance", "ToAccountBalance",
         "TotalAmountInHomeCurrency", "BalanceRemainingInHomeCurrency", "CreditRemainingInHomeCurrency",
         "AmountInHomeCurrency", "DepositTotalInHomeCurrency"), "amt"),
    **dict.fromkeys(
        ("IsActive", "IsPaid", "IsPending", "IsFinanceCharge", "IsToBePrinted", "IsToBeEmailed", "IsTaxIncluded",
         "IsTaxable", "IsAdjustment", "IsAutoApply", "IncludeLineItems", "IncludeLinkedTxns",
         "IsHomeCurrencyAdjustment",
         "IsAmountsEnteredInHomeCurrency", "IsUserDefinedCurrency", "IsTaxAccount", "DataExtListRequire",
         "DataExtTxnRequire"), "bool"),
    **dict.fromkeys(("Quantity", "SalesTaxPercentage", "TaxRate"), "qty"),
    **dict.fromkeys(("Rate", "Price", "DiscountRate"), "qty"),
    "ExchangeRate": "rate",
    **dict.fromkeys(("OwnerID", "ExternalGUID"), "guid"),
    "EditSequence": "16", "Memo": "4095", "Desc": "4095", "FullName": "209", "IncludeRetElement": "50",
    "DataExtName": "31", "DataExtValue": "4095", "UnitOfMeasure": "31", "AccountNumber": "99", "Other": "29",
    "ActiveStatus": "ActiveOnly/InactiveOnly/All", "PaidStatus": "All/PaidOnly/NotPaidOnly",
    "MatchCriterion": "StartsWith/Contains/EndsWith",
    "AccountType": "AccountsPayable/AccountsReceivable/Bank/CostOfGoodsSold/CreditCard/Equity/Expense/FixedAsset/Income"
    "/LongTermLiability/NonPosting/OtherAsset/OtherCurrentAsset/OtherCurrentLiability/OtherExpense/OtherIncome",
    "PaymentMethodType": "AmericanExpress/Cash/Check/DebitCard/Discover/ECheck/GiftCard/MasterCard/Other"
    "/OtherCreditCard/Visa",
    "BillableStatus": "Billable/NotBillable/HasBeenBilled",
    "DataExtType": "AMTTYPE/DATETIMETYPE/INTTYPE/PERCENTTYPE/PRICETYPE/QUANTYPE/STR1024TYPE/STR255TYPE",
    "ListDataExtType": "Account/Customer/Employee/Item/OtherName/Vendor",
    "TxnDataExtType": "ARRefundCreditCard/Check/CreditMemo/Deposit/Invoice/JournalEntry/ReceivePayment/SalesReceipt",
    "OtherDataExtType": "Company",
    "AssignToObject": "Account/ARRefundCreditCard/Check/Company/CreditMemo/Customer/Deposit/Invoice/Item/JournalEntry"
    "/ReceivePayment/SalesReceipt/Vendor",
    "TxnType": "ARRefundCreditCard/Check/CreditMemo/Deposit/Invoice/JournalEntry/ReceivePayment/SalesReceipt/Transfer",
    "TxnDelType": "ARRefundCreditCard/Bill/BillPaymentCheck/BillPaymentCreditCard/Charge/Check/CreditCardCharge"
    "/CreditCardCredit/CreditMemo/Deposit/Estimate/Invoice/JournalEntry/PurchaseOrder/ReceivePayment/SalesOrder"
    "/SalesReceipt/VendorCredit",
    "TxnVoidType": "ARRefundCreditCard/Bill/Charge/Check/CreditCardCharge/CreditCardCredit/CreditMemo/Deposit/Invoice"
    "/JournalEntry/SalesReceipt/VendorCredit",
    "ListDelType": "Account/Class/Currency/Customer/Employee/ItemDiscount/ItemInventory/ItemInventoryAssembly"
    "/ItemNonInventory/ItemOtherCharge/ItemSalesTax/ItemSalesTaxGroup/ItemService/OtherName/PaymentMethod/SalesTaxCode/Vendor",
    "IsAutomaticLogin": "bool", "QBFileMode": "MultiUser/SingleUser",
}  # fmt: skip

# The longest name a reference may hold, where it is not that of an account or class (159).
LONGEST_NAMES = {
    **dict.fromkeys(("CustomerRef", "EntityRef", "PayeeEntityRef", "ItemRef", "ParentRef"), 209),
    **dict.fromkeys(("PaymentMethodRef", "PreferredPaymentMethodRef", "TermsRef", "TemplateRef", "ItemSalesTaxRef"), 31
    ),
    **dict.fromkeys(("SalesTaxCodeRef", "CustomerSalesTaxCodeRef"), 3),
    **dict.fromkeys(("DefaultTaxableSalesTaxCodeRef", "DefaultNonTaxableSalesTaxCodeRef"), 3),
    "DefaultItemSalesTaxRef": 31,
    **dict.fromkeys(("CurrencyRef", "HomeCurrencyRef"), 64),
    "SalesRepRef": 5, "TaxVendorRef": 41,
}  # fmt: skip

LIST_HEAD = "ListID? TimeCreated? TimeModified? EditSequence?"
TXN_HEAD = f"TxnID? {LIST_HEAD.partition(' ')[2]} TxnNumber?"
PERSON = "Salutation:15? FirstName:25? MiddleName:5? LastName:25? Suffix:10?"
CONTACT = "Phone:21? Mobile:21? Pager:21? AltPhone:21? Fax:21? Email:1023? Cc:1023? Contact:41? AltContact:41?"
CUSTOMER = (
    f"IsActive? ClassRef? ParentRef? CompanyName:41? {PERSON} JobTitle:41? BillAddress? ShipAddress? PrintAs:41? "
    f"{CONTACT} CustomerTypeRef? TermsRef? SalesRepRef? SalesTaxCodeRef? ItemSalesTaxRef? ResaleNumber:15? "
    "AccountNumber? CreditLimit? PreferredPaymentMethodRef? Notes:4095?"
)
SALE_HEAD = "TemplateRef? TxnDate? RefNumber:11? BillAddress? ShipAddress? IsPending?"
SALE_LINE = "ItemRef? Desc? Quantity? UnitOfMeasure? Rate? ClassRef? Amount? TaxAmount? ServiceDate? SalesTaxCodeRef?"
SALE_LINE_ADD = f"{SALE_LINE} OverrideItemAccountRef? Other1:29? Other2:29?"
SALE_LINE_MOD = f"TxnLineID {SALE_LINE_ADD}"
SALE_LINE_RET = f"TxnLineID {SALE_LINE} Other1:29? Other2:29?"
FLAGS = "IsToBePrinted? IsToBeEmailed? IsTaxIncluded? CustomerSalesTaxCodeRef?"
JOURNAL_LINE = "TxnLineID? AccountRef? Amount? TaxAmount? Memo? EntityRef? ClassRef? BillableStatus?"
ADDRESS = "Addr1:41? Addr2:41? Addr3:41? Addr4:41? Addr5:41? City:31? State:21? PostalCode:13? Country:31? Note:41?"
DATA_EXT_TARGET = "(ListDataExtType ListObjRef | TxnDataExtType TxnID TxnLineID? | OtherDataExtType)"


def list_query(more: str = "", owner: str = " OwnerID*") -> str:
    filters = "MaxReturned? ActiveStatus? FromModifiedDate? ToModifiedDate? NameFilter?"
    return f"(ListID+ | FullName+ | {filters} {more})? IncludeRetElement*{owner}"


def txn_query(*, numbered: bool = True, party: bool = True, paid: str = "", includes: str = "IncludeLineItems?") -> str:
    by_number = "RefNumber:20+ | RefNumberCaseSensitive:20+ |" if numbered else ""
    filters = "MaxReturned? (ModifiedDateRangeFilter | TxnDateRangeFilter)?"
    if party:
        filters += f" EntityFilter? AccountFilter? {'RefNumberFilter?' if numbered else ''} CurrencyFilter? {paid}"
    owner = " OwnerID*" if party else ""
    return f"(TxnID+ | {by_number} {filters})? {includes} IncludeRetElement*{owner}"


PARTS = {
    **{f"Ref{length}": f"ListID? FullName:{length}?" for length in (159, *LONGEST_NAMES.values())},
    "BillAddress": ADDRESS, "ShipAddress": ADDRESS, "Address": ADDRESS,
    "ModifiedDateRangeFilter": "FromModifiedDate? ToModifiedDate?",
    "DeletedDateRangeFilter": "FromDeletedDate? ToDeletedDate?",
    "TxnDateRangeFilter": "FromTxnDate? ToTxnDate?",
    "EntityFilter": "ListID+ | FullName+ | ListIDWithChildren:id | FullNameWithChildren:209",
    "AccountFilter": "ListID+ | FullName+ | ListIDWithChildren:id | FullNameWithChildren:209",
    "CurrencyFilter": "ListID+ | FullName:64+",
    "NameFilter": "MatchCriterion Name:209",
    "RefNumberFilter": "MatchCriterion RefNumber:20",
    "InvoiceLineAdd": SALE_LINE_ADD, "CreditMemoLineAdd": SALE_LINE_ADD, "SalesReceiptLineAdd": SALE_LINE_ADD,
    "InvoiceLineMod": SALE_LINE_MOD, "CreditMemoLineMod": SALE_LINE_MOD, "SalesReceiptLineMod": SALE_LINE_MOD,
    "InvoiceLineRet": SALE_LINE_RET, "CreditMemoLineRet": SALE_LINE_RET, "SalesReceiptLineRet": SALE_LINE_RET,
    "AppliedToTxnAdd": "TxnID PaymentAmount? SetCredit* DiscountAmount? DiscountAccountRef? DiscountClassRef?",
    "AppliedToTxnMod": "TxnID PaymentAmount? SetCredit* DiscountAmount? DiscountAccountRef? DiscountClassRef?",
    "SetCredit": "CreditTxnID TxnLineID? AppliedAmount Override:bool?",
    "AppliedToTxnRet": "TxnID TxnType TxnDate? RefNumber:20? BalanceRemaining? Amount? DiscountAmount? "
    "DiscountAccountRef?",
    "LinkedTxn": "TxnID TxnType TxnDate RefNumber:20? LinkType:AMTTYPE? Amount",
    "RefundAppliedToTxnAdd": "TxnID RefundAmount",
    "RefundAppliedToTxnRet": "TxnID TxnType TxnDate RefNumber:20? CreditRemaining RefundAmount",
    "ApplyCheckToTxnAdd": "TxnID Amount?",
    "ExpenseLineAdd": "AccountRef? Amount? TaxAmount? Memo? CustomerRef? ClassRef? SalesTaxCodeRef? BillableStatus?",
    "ExpenseLineMod": "TxnLineID AccountRef? Amount? TaxAmount? Memo? CustomerRef? ClassRef? SalesTaxCodeRef? "
    "BillableStatus?",
    "ExpenseLineRet": "TxnLineID AccountRef? Amount? TaxAmount? Memo? CustomerRef? ClassRef? SalesTaxCodeRef? "
    "BillableStatus?",
    "CashBackInfoAdd": "AccountRef Memo? Amount?",
    "DepositLineAdd": "PaymentTxnID PaymentTxnLineID? OverrideMemo:4095? OverrideCheckNumber:11? OverrideClassRef? | "
    "EntityRef? AccountRef Memo? CheckNumber:11? PaymentMethodRef? ClassRef? Amount?",
    "DepositLineMod": "TxnLineID (PaymentTxnID PaymentTxnLineID? OverrideMemo:4095? OverrideCheckNumber:11? "
    "OverrideClassRef? | EntityRef? AccountRef? Memo? CheckNumber:11? PaymentMethodRef? ClassRef? Amount?)",
    "DepositLineRet": "TxnType? TxnID? TxnLineID PaymentTxnLineID? EntityRef? AccountRef? Memo? CheckNumber:11? "
    "PaymentMethodRef? ClassRef? Amount?",
    "JournalLineMod": "TxnLineID JournalLineType:Debit/Credit? AccountRef? Amount? TaxAmount? Memo? EntityRef? "
    "ClassRef? BillableStatus?",
    "JournalDebitLine": JOURNAL_LINE, "JournalCreditLine": JOURNAL_LINE,
    "DataExtRet": "OwnerID? DataExtName DataExtType DataExtValue",
    "SalesOrPurchase": "Desc? Price? AccountRef?",
    "AccountingPreferences": "IsUsingAccountNumbers:bool IsRequiringAccounts:bool IsUsingClassTracking:bool "
    "IsUsingAuditTrail:bool IsAssigningJournalEntryNumbers:bool ClosingDate?",
    "FinanceChargePreferences": "GracePeriod:int IsAssessingForOverdueCharges:bool CalculateChargesFrom:DueDate "
    "IsMarkedToBePrinted:bool",
    "JobsAndEstimatesPreferences": "IsUsingEstimates:bool IsUsingProgressInvoicing:bool "
    "IsPrintingItemsWithZeroAmounts:bool",
    "MultiCurrencyPreferences": "IsMultiCurrencyOn:bool? HomeCurrencyRef?",
    "PurchasesAndVendorsPreferences": "IsUsingInventory:bool DaysBillsAreDue:int "
    "IsAutomaticallyUsingDiscounts:bool",
    "ReportsPreferences": "AgingReportBasis:AgeFromDueDate SummaryReportBasis:Accrual/Cash",
    "SalesAndCustomersPreferences": "IsTrackingReimbursedExpensesAsIncome:bool IsAutoApplyingPayments:bool",
    "SalesTaxPreferences": "DefaultItemSalesTaxRef PaySalesTax:Monthly/Quarterly/Annually "
    "DefaultTaxableSalesTaxCodeRef DefaultNonTaxableSalesTaxCodeRef",
    "TimeTrackingPreferences": "FirstDayOfWeek:Monday",
    "CurrentAppAccessRights": "IsAutomaticLoginAllowed:bool AutomaticLoginUserName:29? "
    "IsPersonalDataAccessAllowed:bool",
}  # fmt: skip

# What may be asked, without the Rq of its name.
QUERIES = {
    "HostQuery": "IncludeRetElement*",
    "CompanyQuery": "IncludeRetElement* OwnerID*",
    "PreferencesQuery": "IncludeRetElement*",
    "AccountQuery": list_query("AccountType* CurrencyFilter?"),
    "CustomerQuery": list_query("CurrencyFilter?"),
    "VendorQuery": list_query("CurrencyFilter?"),
    "ClassQuery": list_query(owner=""),
    "CurrencyQuery": list_query(owner=""),
    "ItemQuery": list_query(),
    "ItemServiceQuery": list_query(),
    "ItemSalesTaxQuery": list_query(),
    "SalesTaxCodeQuery": list_query(owner=""),
    "PaymentMethodQuery": list_query("PaymentMethodType*", owner=""),
    "DataExtDefQuery": "(OwnerID+ | AssignToObject+)? IncludeRetElement*",
    "InvoiceQuery": txn_query(paid="PaidStatus?", includes="IncludeLineItems? IncludeLinkedTxns?"),
    "CreditMemoQuery": txn_query(includes="IncludeLineItems? IncludeLinkedTxns?"),
    "CheckQuery": txn_query(includes="IncludeLineItems? IncludeLinkedTxns?"),
    "ReceivePaymentQuery": txn_query(),
    "SalesReceiptQuery": txn_query(),
    "ARRefundCreditCardQuery": txn_query(),
    "JournalEntryQuery": txn_query(),
    "DepositQuery": txn_query(numbered=False),
    "TransferQuery": txn_query(numbered=False, party=False, includes=""),
    "TxnDeletedQuery": "TxnDelType+ DeletedDateRangeFilter? IncludeRetElement*",
    "ListDeletedQuery": "ListDelType+ DeletedDateRangeFilter? IncludeRetElement*",
}

ADDS = {
    "AccountAdd": "Name:31 IsActive? ParentRef? AccountType AccountNumber:7? BankNumber:25? Desc:200? OpenBalance? "
    "CurrencyRef?",
    "CustomerAdd": f"Name:41 {CUSTOMER} ExternalGUID? TaxRegistrationNumber:30? CurrencyRef?",
    "VendorAdd": f"Name:41 IsActive? CompanyName:41? {PERSON} {CONTACT} NameOnCheck:41? AccountNumber? Notes:4095? "
    "ExternalGUID? CurrencyRef?",
    "ClassAdd": "Name:31 IsActive? ParentRef?",
    "PaymentMethodAdd": "Name:31 IsActive? PaymentMethodType?",
    "ItemServiceAdd": "Name:31 IsActive? ParentRef? SalesTaxCodeRef? SalesOrPurchase ExternalGUID?",
    "ItemOtherChargeAdd": "Name:31 IsActive? ParentRef? SalesTaxCodeRef? SalesOrPurchase ExternalGUID?",
    "ItemDiscountAdd": "Name:31 IsActive? ParentRef? ItemDesc:4095? SalesTaxCodeRef? DiscountRate? AccountRef "
    "ExternalGUID?",
    "ItemSalesTaxAdd": "Name:31 IsActive? ItemDesc:4095? TaxRate? TaxVendorRef? ExternalGUID?",
    "DataExtDefAdd": "OwnerID DataExtName DataExtType AssignToObject* DataExtListRequire? DataExtTxnRequire? "
    "DataExtFormatString:255?",
    "DataExtAdd": f"OwnerID DataExtName {DATA_EXT_TARGET} DataExtValue",
    "InvoiceAdd": f"CustomerRef ClassRef? ARAccountRef? {SALE_HEAD} IsFinanceCharge? PONumber:25? TermsRef? DueDate? "
    f"SalesRepRef? ItemSalesTaxRef? Memo? {FLAGS} Other? ExchangeRate? ExternalGUID? SetCredit* InvoiceLineAdd*",
    "CreditMemoAdd": f"CustomerRef ClassRef? ARAccountRef? {SALE_HEAD} PONumber:25? TermsRef? DueDate? SalesRepRef? "
    f"ItemSalesTaxRef? Memo? {FLAGS} Other? ExchangeRate? ExternalGUID? CreditMemoLineAdd+",
    "SalesReceiptAdd": f"CustomerRef? ClassRef? {SALE_HEAD} CheckNumber:25? PaymentMethodRef? DueDate? SalesRepRef? "
    f"ItemSalesTaxRef? Memo? {FLAGS} DepositToAccountRef? Other? ExchangeRate? ExternalGUID? SalesReceiptLineAdd+",
    "ReceivePaymentAdd": "CustomerRef ARAccountRef? TxnDate? RefNumber:20? TotalAmount? ExchangeRate? "
    "PaymentMethodRef? Memo? DepositToAccountRef? ExternalGUID? (IsAutoApply | AppliedToTxnAdd+)",
    "ARRefundCreditCardAdd": "CustomerRef RefundFromAccountRef? ARAccountRef? TxnDate? RefNumber:11? Address? "
    "PaymentMethodRef? Memo? ExchangeRate? ExternalGUID? RefundAppliedToTxnAdd+",
    "CheckAdd": "AccountRef PayeeEntityRef? RefNumber:11? TxnDate? Memo? Address? IsToBePrinted? IsTaxIncluded? "
    "SalesTaxCodeRef? ExchangeRate? ExternalGUID? ApplyCheckToTxnAdd* ExpenseLineAdd*",
    "DepositAdd": "TxnDate? DepositToAccountRef Memo? CashBackInfoAdd? CurrencyRef? ExchangeRate? ExternalGUID? "
    "DepositLineAdd*",
    "TransferAdd": "TxnDate? TransferFromAccountRef? TransferToAccountRef? ClassRef? Amount? Memo?",
    "JournalEntryAdd": "TxnDate? RefNumber:11? Memo? IsAdjustment? "
    "(IsHomeCurrencyAdjustment | IsAmountsEnteredInHomeCurrency? CurrencyRef? ExchangeRate?)? ExternalGUID? "
    "(JournalDebitLine | JournalCreditLine)+",
}

MODS = {
    "AccountMod": "ListID EditSequence Name:31? IsActive? ParentRef? AccountNumber:7? Desc:200?",
    "CustomerMod": f"ListID EditSequence Name:41? {CUSTOMER} TaxRegistrationNumber:30?",
    "DataExtMod": f"OwnerID DataExtName {DATA_EXT_TARGET} DataExtValue",
    "DataExtDel": f"OwnerID DataExtName {DATA_EXT_TARGET}",
    "ReceivePaymentMod": "TxnID EditSequence CustomerRef? ARAccountRef? TxnDate? RefNumber:20? TotalAmount? "
    "ExchangeRate? PaymentMethodRef? Memo? DepositToAccountRef? AppliedToTxnMod*",
    "InvoiceMod": f"TxnID EditSequence CustomerRef? ClassRef? ARAccountRef? {SALE_HEAD} PONumber:25? TermsRef? "
    f"DueDate? SalesRepRef? ItemSalesTaxRef? Memo? {FLAGS} Other? ExchangeRate? SetCredit* InvoiceLineMod*",
    "CreditMemoMod": f"TxnID EditSequence CustomerRef? ClassRef? ARAccountRef? {SALE_HEAD} PONumber:25? TermsRef? "
    f"DueDate? SalesRepRef? ItemSalesTaxRef? Memo? {FLAGS} Other? ExchangeRate? CreditMemoLineMod*",
    "SalesReceiptMod": f"TxnID EditSequence CustomerRef? ClassRef? {SALE_HEAD} CheckNumber:25? PaymentMethodRef? "
    f"DueDate? SalesRepRef? ItemSalesTaxRef? Memo? {FLAGS} DepositToAccountRef? Other? ExchangeRate? "
    "SalesReceiptLineMod*",
    "CheckMod": "TxnID EditSequence AccountRef? PayeeEntityRef? RefNumber:11? TxnDate? Memo? Address? IsToBePrinted? "
    "IsTaxIncluded? SalesTaxCodeRef? ExchangeRate? ExpenseLineMod*",
    "DepositMod": "TxnID EditSequence TxnDate? DepositToAccountRef? Memo? CurrencyRef? ExchangeRate? DepositLineMod*",
    "JournalEntryMod": "TxnID EditSequence TxnDate? RefNumber:11? IsAdjustment? IsAmountsEnteredInHomeCurrency? "
    "CurrencyRef? ExchangeRate? JournalLineMod*",
    "TransferMod": "TxnID EditSequence TxnDate? TransferFromAccountRef? TransferToAccountRef? ClassRef? Amount? Memo?",
}

REMOVALS = {
    "TxnDel": "TxnDelType TxnID",
    "TxnVoid": "TxnVoidType TxnID",
    "ListDel": "ListDelType ListID",
}

ITEM_RET = f"{LIST_HEAD} Name:31? FullName:159? IsActive? ParentRef? Sublevel?"

# What is answered, without the Ret of its name.
RETS = {
    "Host": "ProductName:255? MajorVersion:5? MinorVersion:5? Country:2? SupportedQBXMLVersion:10* IsAutomaticLogin? "
    "QBFileMode?",
    "Company": "IsSampleCompany:bool? CompanyName:59? LegalCompanyName:59? Address? Phone:51? Email:1023? "
    "FirstMonthFiscalYear:January? FirstMonthIncomeTaxYear:January? CompanyType:255? EIN:20? DataExtRet*",
    "Preferences": "AccountingPreferences? FinanceChargePreferences? JobsAndEstimatesPreferences? "
    "MultiCurrencyPreferences? PurchasesAndVendorsPreferences? ReportsPreferences? SalesAndCustomersPreferences? "
    "SalesTaxPreferences? "
    "TimeTrackingPreferences? CurrentAppAccessRights?",
    "Account": f"{LIST_HEAD} Name:31? FullName:159? IsActive? ParentRef? Sublevel? AccountType? "
    "SpecialAccountType:AccountsPayable/AccountsReceivable/ExchangeGainLoss/OpeningBalanceEquity/RetainedEarnings"
    "/SalesTaxPayable/UncategorizedExpenses/UncategorizedIncome/UndepositedFunds? AccountNumber:7? BankNumber:25? "
    "Desc:200? Balance? TotalBalance? CurrencyRef? DataExtRet*",
    "Customer": f"{LIST_HEAD} Name:41? FullName? IsActive? ClassRef? ParentRef? Sublevel? CompanyName:41? {PERSON} "
    f"JobTitle:41? BillAddress? ShipAddress? PrintAs:41? {CONTACT} CustomerTypeRef? TermsRef? SalesRepRef? Balance? "
    "TotalBalance? SalesTaxCodeRef? ItemSalesTaxRef? ResaleNumber:15? AccountNumber? CreditLimit? "
    "PreferredPaymentMethodRef? Notes:4095? ExternalGUID? TaxRegistrationNumber:30? CurrencyRef? DataExtRet*",
    "Vendor": f"{LIST_HEAD} Name:41? IsActive? CompanyName:41? {PERSON} {CONTACT} NameOnCheck:41? AccountNumber? "
    "Notes:4095? Balance? ExternalGUID? CurrencyRef? DataExtRet*",
    "Class": f"{LIST_HEAD} Name:31? FullName:159? IsActive? ParentRef? Sublevel?",
    "Currency": f"{LIST_HEAD} Name:64? IsActive? CurrencyCode:3? IsUserDefinedCurrency? ExchangeRate? AsOfDate:date?",
    "ItemService": f"{ITEM_RET} SalesTaxCodeRef? SalesOrPurchase? ExternalGUID? DataExtRet*",
    "ItemOtherCharge": f"{ITEM_RET} SalesTaxCodeRef? SalesOrPurchase? ExternalGUID? DataExtRet*",
    "ItemDiscount": f"{ITEM_RET} ItemDesc:4095? SalesTaxCodeRef? DiscountRate? AccountRef? ExternalGUID? DataExtRet*",
    "ItemSalesTax": f"{LIST_HEAD} Name:31? IsActive? ItemDesc:4095? TaxRate? TaxVendorRef? ExternalGUID? DataExtRet*",
    "SalesTaxCode": f"{LIST_HEAD} Name:3? IsActive? IsTaxable? Desc:31?",
    "PaymentMethod": f"{LIST_HEAD} Name:31? IsActive? PaymentMethodType?",
    "DataExtDef": "OwnerID? DataExtID DataExtName? DataExtType? AssignToObject* DataExtListRequire DataExtTxnRequire "
    "DataExtFormatString:255",
    "DataExt": PARTS["DataExtRet"],
    "Invoice": f"{TXN_HEAD} CustomerRef? ClassRef? ARAccountRef? {SALE_HEAD} IsFinanceCharge? PONumber:25? TermsRef? "
    "DueDate? SalesRepRef? Subtotal? ItemSalesTaxRef? SalesTaxPercentage? SalesTaxTotal? AppliedAmount? "
    f"BalanceRemaining? CurrencyRef? ExchangeRate? BalanceRemainingInHomeCurrency? Memo? IsPaid? {FLAGS} Other? "
    "ExternalGUID? LinkedTxn* InvoiceLineRet* DataExtRet*",
    "CreditMemo": f"{TXN_HEAD} CustomerRef? ClassRef? ARAccountRef? {SALE_HEAD} PONumber:25? TermsRef? DueDate? "
    "SalesRepRef? Subtotal? ItemSalesTaxRef? SalesTaxPercentage? SalesTaxTotal? TotalAmount? CreditRemaining? "
    f"CurrencyRef? ExchangeRate? CreditRemainingInHomeCurrency? Memo? {FLAGS} Other? ExternalGUID? LinkedTxn* "
    "CreditMemoLineRet* DataExtRet*",
    "SalesReceipt": f"{TXN_HEAD} CustomerRef? ClassRef? {SALE_HEAD} CheckNumber:25? PaymentMethodRef? DueDate? "
    "SalesRepRef? Subtotal? ItemSalesTaxRef? SalesTaxPercentage? SalesTaxTotal? TotalAmount? CurrencyRef? "
    f"ExchangeRate? TotalAmountInHomeCurrency? Memo? {FLAGS} DepositToAccountRef? Other? ExternalGUID? "
    "SalesReceiptLineRet* DataExtRet*",
    "ReceivePayment": f"{TXN_HEAD} CustomerRef? ARAccountRef? TxnDate? RefNumber:20? TotalAmount? CurrencyRef? "
    "ExchangeRate? TotalAmountInHomeCurrency? PaymentMethodRef? Memo? DepositToAccountRef? UnusedPayment? "
    "UnusedCredits? ExternalGUID? AppliedToTxnRet* DataExtRet*",
    "ARRefundCreditCard": f"{TXN_HEAD} CustomerRef? RefundFromAccountRef? ARAccountRef? TxnDate? RefNumber:11? "
    "TotalAmount? CurrencyRef? ExchangeRate? TotalAmountInHomeCurrency? Address? PaymentMethodRef? Memo? ExternalGUID? "
    "RefundAppliedToTxnRet* DataExtRet*",
    "Check": f"{TXN_HEAD} AccountRef? PayeeEntityRef? RefNumber:11? TxnDate? Amount? CurrencyRef? ExchangeRate? "
    "AmountInHomeCurrency? Memo? Address? IsToBePrinted? IsTaxIncluded? SalesTaxCodeRef? ExternalGUID? LinkedTxn* "
    "ExpenseLineRet* DataExtRet*",
    "Deposit": f"{TXN_HEAD} TxnDate? DepositToAccountRef? Memo? DepositTotal? CurrencyRef? ExchangeRate? "
    "DepositTotalInHomeCurrency? ExternalGUID? DepositLineRet* DataExtRet*",
    "Transfer": f"{TXN_HEAD} TxnDate? TransferFromAccountRef? FromAccountBalance? TransferToAccountRef? "
    "ToAccountBalance? ClassRef? Amount? Memo?",
    "JournalEntry": f"{TXN_HEAD} TxnDate? RefNumber:11? Memo? IsAdjustment? IsHomeCurrencyAdjustment? "
    "IsAmountsEnteredInHomeCurrency? CurrencyRef? ExchangeRate? ExternalGUID? (JournalDebitLine | JournalCreditLine)* "
    "DataExtRet*",
    "TxnDeleted": "TxnDelType? TxnID? TimeCreated? TimeDeleted? RefNumber:20?",
    "ListDeleted": "ListDelType? ListID? TimeCreated? TimeDeleted? FullName?",
}

SHAPES = {
    **PARTS,
    **{f"{name}Rq": shape for name, shape in QUERIES.items()},
    **ADDS,
    **MODS,
    **{f"{name}Rq": f"{name} IncludeRetElement*" for name in {**ADDS, **MODS} if not name.startswith("DataExt")},
    **{f"{name}Rq": name for name in {**ADDS, **MODS} if name.startswith("DataExt")},
    **{f"{name}Rq": shape for name, shape in REMOVALS.items()},
    **{f"{name}Ret": shape for name, shape in RETS.items()},
}
REQUESTS = frozenset((*QUERIES, *ADDS, *MODS, *REMOVALS))
