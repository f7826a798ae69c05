"""The properties a body may have, by entity. What is not listed here is refused as unknown (2010).

A line reads `Type: name:type ...`. Types: s text, b true or false, n number, i whole number, d date, t time,
r reference, x anything; another name is a type of its own; `*` is a list; `s50` is a text of at most 50 characters;
`a|b` one of these words.
"""

TYPES = """
Entity: Id:s SyncToken:s MetaData:Meta domain:s sparse:b status:s CustomField:Custom*
Txn: Entity DocNumber:s21 TxnDate:d CurrencyRef:r ExchangeRate:n PrivateNote:s4000 TxnStatus:s LinkedTxn:Linked* \
Line:Line* TxnTaxDetail:Tax DepartmentRef:r TxnSource:s TransactionLocationType:s Tag:x AttachableRef:x \
RecurDataRef:r ProjectRef:r
Sale: Txn TotalAmt:n HomeTotalAmt:n GlobalTaxCalculation:Gtc CustomerRef:r CustomerMemo:Memo BillAddr:Address \
ShipAddr:Address ShipFromAddr:Address FreeFormAddress:b ClassRef:r SalesTermRef:r DueDate:d ShipMethodRef:r \
ShipDate:d TrackingNum:s ApplyTaxAfterDiscount:b TemplateRef:r PrintStatus:Print EmailStatus:Sent BillEmail:Email \
BillEmailCc:Email BillEmailBcc:Email ARAccountRef:r Balance:n HomeBalance:n PaymentMethodRef:r PaymentRefNum:s21 \
PaymentType:s CheckPayment:x CreditCardPayment:x DepositToAccountRef:r DeliveryInfo:x TaxExemptionRef:r \
AutoDocNumber:b
Invoice: Sale Deposit:n AllowIPNPayment:b AllowOnlinePayment:b AllowOnlineCreditCardPayment:b \
AllowOnlineACHPayment:b AllowOnlinePayPalPayment:b EInvoiceStatus:s ECloudStatusTimeStamp:t InvoiceLink:s
SalesReceipt: Sale
RefundReceipt: Sale RemainingCredit:n
CreditMemo: Sale RemainingCredit:n InvoiceRef:r
Payment: Txn TotalAmt:n CustomerRef:r ARAccountRef:r DepositToAccountRef:r PaymentMethodRef:r PaymentRefNum:s21 \
PaymentType:s CheckPayment:x CreditCardPayment:x UnappliedAmt:n ProcessPayment:b
Purchase: Txn TotalAmt:n GlobalTaxCalculation:Gtc AccountRef:r PaymentMethodRef:r PaymentRefNum:s21 \
PaymentType:Cash|Check|CreditCard EntityRef:r Credit:b RemitToAddr:Address Memo:s PrintStatus:Print CheckPayment:x
Deposit: Txn TotalAmt:n HomeTotalAmt:n GlobalTaxCalculation:Gtc DepositToAccountRef:r CashBack:CashBack
Transfer: Txn FromAccountRef:r ToAccountRef:r Amount:n ClassRef:r
JournalEntry: Txn TotalAmt:n HomeTotalAmt:n GlobalTaxCalculation:Gtc Adjustment:b
Person: Entity Title:s16 GivenName:s100 MiddleName:s100 FamilyName:s100 Suffix:s16 FullyQualifiedName:s \
CompanyName:s100 DisplayName:s500 PrintOnCheckName:s110 Active:b PrimaryPhone:Phone AlternatePhone:Phone \
Mobile:Phone Fax:Phone PrimaryEmailAddr:Email WebAddr:Web BillAddr:Address ShipAddr:Address OtherAddr:x Balance:n \
OpenBalanceDate:d AcctNum:s CurrencyRef:r Notes:s4000 V4IDPseudonym:s
Customer: Person DefaultTaxCodeRef:r Taxable:b Job:b BillWithParent:b ParentRef:r Level:i CustomerTypeRef:r \
SalesTermRef:r PaymentMethodRef:r BalanceWithJobs:n PreferredDeliveryMethod:s ResaleNum:s ARAccountRef:r IsProject:b \
PrimaryTaxIdentifier:s TaxExemptionReasonId:s ClientEntityId:s Source:s
Vendor: Person TaxIdentifier:s TermRef:r BillRate:n Vendor1099:b APAccountRef:r TaxReportingBasis:s Source:s
Account: Entity Name:s100 SubAccount:b ParentRef:r Description:s FullyQualifiedName:s Active:b Classification:s \
AccountType:AccountType AccountSubType:s AcctNum:s20 OpeningBalance:n OpeningBalanceDate:d CurrentBalance:n \
CurrentBalanceWithSubAccounts:n CurrencyRef:r TaxCodeRef:r TxnLocationType:s AccountAlias:s
Item: Entity Name:s100 Sku:s100 Description:s4000 Active:b SubItem:b ParentRef:r Level:i FullyQualifiedName:s \
Taxable:b SalesTaxIncluded:b UnitPrice:n RatePercent:n Type:Service|NonInventory|Inventory|Category|Group \
IncomeAccountRef:r PurchaseDesc:s PurchaseTaxIncluded:b PurchaseCost:n ExpenseAccountRef:r AssetAccountRef:r \
PrefVendorRef:r TrackQtyOnHand:b QtyOnHand:n InvStartDate:d SalesTaxCodeRef:r PurchaseTaxCodeRef:r \
ItemCategoryType:s ClassRef:r
Term: Entity Name:s31 Active:b Type:s DiscountPercent:n DueDays:i DiscountDays:i DayOfMonthDue:i
Class: Entity Name:s100 SubClass:b ParentRef:r FullyQualifiedName:s Active:b
Department: Entity Name:s100 SubDepartment:b ParentRef:r FullyQualifiedName:s Active:b Address:Address
PaymentMethod: Entity Name:s31 Active:b Type:s
TaxCode: Entity Name:s Description:s Active:b Hidden:b Taxable:b TaxGroup:b SalesTaxRateList:Rates \
PurchaseTaxRateList:Rates
TaxRate: Entity Name:s Description:s Active:b RateValue:n AgencyRef:r
Rates: TaxRateDetail:RateDetail*
RateDetail: TaxRateRef:r TaxTypeApplicable:s TaxOrder:i
CompanyCurrency: Entity Code:s3 Name:s Active:b
ExchangeRate: Entity SourceCurrencyCode:s3 TargetCurrencyCode:s3 Rate:n AsOfDate:d
CompanyInfo: Entity CompanyName:s LegalName:s CompanyAddr:Address CustomerCommunicationAddr:Address \
LegalAddr:Address CompanyEmailAddr:Email Email:Email WebAddr:Web PrimaryPhone:Phone CompanyStartDate:d EmployerId:s \
FiscalYearStartMonth:s Country:s SupportedLanguages:s DefaultTimeZone:s NameValue:x
Preferences: Entity AccountingInfoPrefs:AccountingInfo ProductAndServicesPrefs:x SalesFormsPrefs:SalesForms \
EmailMessagesPrefs:x VendorAndPurchasesPrefs:x TimeTrackingPrefs:x TaxPrefs:x CurrencyPrefs:Currencies ReportPrefs:x \
OtherPrefs:x
AccountingInfo: UseAccountNumbers:b TrackDepartments:b DepartmentTerminology:s ClassTrackingPerTxn:b \
ClassTrackingPerTxnLine:b FirstMonthOfFiscalYear:s TaxYearMonth:s TaxForm:s BookCloseDate:d CustomerTerminology:s
SalesForms: CustomField:x CustomTxnNumbers:b AllowDeposit:b AllowDiscount:b DefaultDiscountAccount:s \
AllowEstimates:b ETransactionEnabledStatus:s ETransactionAttachPDF:b ETransactionPaymentEnabled:b \
IPNSupportEnabled:b AllowServiceDate:b AllowShipping:b DefaultTerms:r AutoApplyCredit:b AutoApplyPayments:b \
UsingProgressInvoicing:b EmailCopyToCompany:b DefaultCustomerMessage:s SalesEmailCc:Email SalesEmailBcc:Email
Currencies: MultiCurrencyEnabled:b HomeCurrency:r
Meta: CreateTime:t LastUpdatedTime:t CreatedByRef:r LastModifiedByRef:r
Custom: DefinitionId:s Name:s Type:s StringValue:s31 BooleanValue:b DateValue:d NumberValue:n
Linked: TxnId:s TxnType:s TxnLineId:s
Memo: value:s1000
Email: Id:s Address:s100 Default:b
Web: Id:s URI:s1000 Default:b
Phone: Id:s FreeFormNumber:s30 DeviceType:s CountryCode:s AreaCode:s ExchangeCode:s Extension:s Default:b
Address: Id:s Line1:s500 Line2:s500 Line3:s500 Line4:s500 Line5:s500 City:s255 Country:s255 CountryCode:s \
CountrySubDivisionCode:s255 PostalCode:s30 PostalCodeSuffix:s Lat:s Long:s Note:s
CashBack: AccountRef:r Amount:n Memo:s
Tax: DefaultTaxCodeRef:r TxnTaxCodeRef:r TotalTax:n TaxLine:TaxLine*
TaxLine: Id:s LineNum:i Description:s Amount:n DetailType:s TaxLineDetail:TaxLineDetail
TaxLineDetail: TaxRateRef:r PercentBased:b TaxPercent:n NetAmountTaxable:n TaxInclusiveAmount:n \
OverrideDeltaAmount:n
Line: Id:s LineNum:i Description:s4000 Amount:n LinkedTxn:Linked* DetailType:DetailType CustomField:Custom* LineEx:x \
SalesItemLineDetail:SalesItem DiscountLineDetail:Discount SubTotalLineDetail:SubTotal DescriptionLineDetail:x \
AccountBasedExpenseLineDetail:AccountExpense ItemBasedExpenseLineDetail:ItemExpense DepositLineDetail:DepositLine \
JournalEntryLineDetail:JournalLine ProjectRef:r
SalesItem: ItemRef:r ClassRef:r UnitPrice:n RatePercent:n Qty:n ItemAccountRef:r TaxCodeRef:r ServiceDate:d \
TaxInclusiveAmt:n DiscountRate:n DiscountAmt:n MarkupInfo:x PriceLevelRef:r
Discount: PercentBased:b DiscountPercent:n DiscountAccountRef:r DiscountRef:r ServiceDate:d ClassRef:r TaxCodeRef:r
SubTotal: ItemRef:r ServiceDate:d
AccountExpense: CustomerRef:r ClassRef:r AccountRef:r BillableStatus:s MarkupInfo:x TaxAmount:n TaxCodeRef:r \
TaxInclusiveAmt:n
ItemExpense: ItemRef:r CustomerRef:r ClassRef:r UnitPrice:n Qty:n TaxCodeRef:r BillableStatus:s MarkupInfo:x \
TaxInclusiveAmt:n
DepositLine: Entity:r ClassRef:r AccountRef:r PaymentMethodRef:r CheckNum:s21 TxnType:s TaxCodeRef:r \
TaxApplicableOn:s
JournalLine: PostingType:Debit|Credit Entity:JournalEntity AccountRef:r ClassRef:r DepartmentRef:r TaxCodeRef:r \
TaxRateRef:r TaxApplicableOn:s TaxAmount:n TaxInclusiveAmt:n BillableStatus:s
JournalEntity: Type:Customer|Vendor|Employee EntityRef:r
"""

WORDS = {
    "Gtc": "TaxExcluded|TaxInclusive|NotApplicable",
    "Print": "NotSet|NeedToPrint|PrintComplete",
    "Sent": "NotSet|NeedToSend|EmailSent",
    "DetailType": "SalesItemLineDetail|DiscountLineDetail|SubTotalLineDetail|DescriptionOnly"
    "|AccountBasedExpenseLineDetail|ItemBasedExpenseLineDetail|DepositLineDetail|JournalEntryLineDetail|PaymentLineDetail|GroupLineDetail",
    "AccountType": "Bank|Accounts Receivable|Other Current Asset|Fixed Asset|Other Asset|Accounts Payable|Credit Card"
    "|Other Current Liability|Long Term Liability|Equity|Income|Cost of Goods Sold|Expense|Other Income|Other Expense",
}


def _read(text: str) -> dict[str, dict[str, str]]:
    types: dict[str, dict[str, str]] = {}
    for line in text.strip().splitlines():
        name, _, rest = line.partition(": ")
        fields: dict[str, str] = {}
        for word in rest.split():
            field, _, kind = word.partition(":")
            fields |= {field: WORDS.get(kind, kind)} if kind else types[field]
        types[name] = fields
    return types


SHAPES = _read(TYPES)
TRANSACTIONS = (
    "Invoice",
    "Payment",
    "SalesReceipt",
    "RefundReceipt",
    "CreditMemo",
    "Purchase",
    "Deposit",
    "Transfer",
    "JournalEntry",
)
LISTS = (
    "Customer",
    "Vendor",
    "Account",
    "Item",
    "Class",
    "Department",
    "PaymentMethod",
    "Term",
    "TaxCode",
    "TaxRate",
    "CompanyCurrency",
)
SINGLES = ("CompanyInfo", "Preferences")
ENTITIES = (*TRANSACTIONS, *LISTS, *SINGLES, "ExchangeRate")
ENTITY_BY_LOWER = {name.lower(): name for name in ENTITIES}
