"""What Salesforce's report types have: their columns, and the records that make a row."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.salesforce.records import Record, value_at


@dataclass(frozen=True)
class ReportColumn:
    """A column. **Shape**: ``link`` is the path of the record that a name links to: then a cell's value is that id, and its label the name."""

    label: str
    data_type: str
    entity: str
    path: str
    link: str | None = None

    def described(self, *, entities: bool) -> dict[str, Any]:
        """As ``reportTypeMetadata`` has it."""
        told: dict[str, Any] = {"label": self.label, "dataType": self.data_type, "filterable": True, "isLookup": self.link is not None, "isCustom": False}
        return {**told, "entityColumnName": self.entity} if entities else told

    def raw(self, record: Record) -> Any:
        """What it is filtered and sorted by."""
        return value_at(record, self.path)

    def cell(self, record: Record) -> dict[str, Any]:
        """As a row has it: the label as a German reader sees it, the value as its type has it."""
        raw = self.raw(record)
        if raw is None or raw == "":
            return {"label": "-", "value": None}
        if self.link is not None:
            return {"label": str(raw), "value": value_at(record, self.link)}
        if self.data_type == "id":
            return {"label": raw[:15], "value": raw}
        if self.data_type == "boolean":
            return {"label": "Wahr" if raw else "Falsch", "value": raw}
        if self.data_type == "currency":
            return {"label": f"{raw:.2f} $".replace(".", ","), "value": {"amount": raw, "currency": None}}
        if self.data_type == "datetime":
            return {"label": f"{raw[8:10]}.{raw[5:7]}.{raw[:4]} {raw[11:16]}", "value": raw}
        return {"label": str(raw), "value": raw}


@dataclass(frozen=True)
class ReportType:
    """A report type: which object's records are its rows, and its columns by token."""

    name: str
    object: str
    columns: Mapping[str, ReportColumn]
    entities: bool = True
    """Whether describe tells ``entityColumnName``."""

    def without_columns(self, *tokens: str) -> "ReportType":
        """The same type of an org whose admin took these columns away."""
        return ReportType(self.name, self.object, {token: column for token, column in self.columns.items() if token not in tokens}, self.entities)


LEADS = ReportType(
    "LeadList",
    "Lead",
    {
        "LEAD_ID": ReportColumn("Lead-ID", "id", "Lead.Id", "Id"),
        "FIRST_NAME": ReportColumn("Vorname", "string", "Lead.FirstName", "FirstName", "Id"),
        "LAST_NAME": ReportColumn("Nachname", "string", "Lead.LastName", "LastName", "Id"),
        "COMPANY": ReportColumn("Firma", "string", "Lead.Company", "Company"),
        "TITLE": ReportColumn("Titel", "string", "Lead.Title", "Title"),
        "FAX": ReportColumn("Mobil", "phone", "Lead.Fax", "Fax"),
        "PHONE": ReportColumn("Telefon", "phone", "Lead.Phone", "Phone"),
        "MOBILE_PHONE": ReportColumn("Fax", "phone", "Lead.MobilePhone", "MobilePhone"),
        "STATUS": ReportColumn("Lead-Status", "picklist", "Lead.Status", "Status"),
        "OWNER": ReportColumn("Inhaber", "string", "Lead.Owner", "Owner.Name", "OwnerId"),
        "REVENUE": ReportColumn("Umsatz", "currency", "Lead.AnnualRevenue", "AnnualRevenue"),
        "CREATED_DATE": ReportColumn("Erstellt", "datetime", "Lead.CreatedDate", "CreatedDate"),
        "DO_NOT_CALL": ReportColumn("Nicht anrufen", "boolean", "Lead.DoNotCall", "DoNotCall"),
        "CONVERTED": ReportColumn("Konvertiert", "boolean", "Lead.IsConverted", "IsConverted"),
    },
)

CONTACTS = ReportType(
    "ContactList",
    "Contact",
    {
        "CONTACT_ID": ReportColumn("Contact ID", "id", "Contact.Id", "Id"),
        "FIRST_NAME": ReportColumn("First Name", "string", "Contact.FirstName", "FirstName", "Id"),
        "LAST_NAME": ReportColumn("Last Name", "string", "Contact.LastName", "LastName", "Id"),
        "TITLE": ReportColumn("Title", "string", "Contact.Title", "Title"),
        "PHONE1": ReportColumn("Phone", "phone", "Contact.Phone", "Phone"),
        "PHONE2": ReportColumn("Fax", "phone", "Contact.Fax", "Fax"),
        "PHONE3": ReportColumn("Mobile", "phone", "Contact.MobilePhone", "MobilePhone"),
        "PHONE6": ReportColumn("Asst. Phone", "phone", "Contact.AssistantPhone", "AssistantPhone"),
        "ACCOUNT_ID": ReportColumn("Account ID", "id", "Account.Id", "Account.Id"),
        "ACCOUNT.NAME": ReportColumn("Account Name", "string", "Account.Name", "Account.Name", "Account.Id"),
        "REPORTS_TO_ID": ReportColumn("Reports To ID", "id", "Contact.ReportsToId", "ReportsToId"),
        "REPORTS_TO": ReportColumn("Reports To", "string", "Contact.ReportsTo.Name", "ReportsTo.Name", "ReportsToId"),
        "OWNER_FULL_NAME": ReportColumn("Contact Owner", "string", "Contact.Owner", "Owner.Name", "OwnerId"),
        "CREATED_DATE": ReportColumn("Created", "datetime", "Contact.CreatedDate", "CreatedDate"),
        "DO_NOT_CALL": ReportColumn("Do Not Call", "boolean", "Contact.DoNotCall", "DoNotCall"),
    },
)

ACTIVITIES = ReportType(
    "Activity",
    "Task",
    {
        "ACTIVITY_ID": ReportColumn("Activity ID", "id", "Activity.Id", "Id"),
        "SUBJECT": ReportColumn("Subject", "string", "Activity.Subject", "Subject"),
        "WHO_NAME": ReportColumn("Name", "string", "Activity.WhoId", "Who.Name", "WhoId"),
        "ASSIGNED": ReportColumn("Assigned", "string", "Activity.Owner", "Owner.Name", "OwnerId"),
        "PHONE": ReportColumn("Phone", "phone", "Activity.Phone", "Who.Phone"),
        "CREATED_DATE": ReportColumn("Created", "datetime", "Activity.CreatedDate", "CreatedDate"),
    },
)

ACCOUNTS = ReportType(
    "AccountList",
    "Account",
    {
        "ACCOUNT_ID": ReportColumn("Account ID", "id", "Account.Id", "Id"),
        "ACCOUNT.NAME": ReportColumn("Account Name", "string", "Account.Name", "Name", "Id"),
        "PHONE1": ReportColumn("Phone", "phone", "Account.Phone", "Phone"),
        "PERSON_CONTACT": ReportColumn("Contact", "id", "Account.PersonContactId", "PersonContactId"),
        "PERSON_DO_NOT_CALL": ReportColumn("Do Not Call", "boolean", "Account.PersonDoNotCall", "PersonDoNotCall"),
    },
)

MEMBERS = ReportType(
    "CampaignMemberList",
    "CampaignMember",
    {
        "MEMBER_ID": ReportColumn("Member ID", "id", "CampaignMember.Id", "Id"),
        "LEAD_ID": ReportColumn("Lead ID", "id", "Lead.Id", "LeadId"),
        "CONTACT_ID": ReportColumn("Contact ID", "id", "Contact.Id", "ContactId"),
        "PHONE": ReportColumn("Phone", "phone", "CampaignMember.Phone", "Phone"),
    },
)

CASES = ReportType(
    "CaseList",
    "Case",
    {
        "CASE_CONTACT": ReportColumn("Contact", "id", "Case.ContactId", "ContactId"),
        "CASE_SPOUSE": ReportColumn("Spouse", "id", "Case.Spouse__c", "Spouse__c"),
        "CASE_PHONE": ReportColumn("Phone", "phone", "Case.ContactPhone", "ContactPhone"),
    },
)
