"""Answers as orgs of different ages give them: with more and with less than the documents show."""

from typing import Any

import pytest

from reservoir.domain.prospects import Phone
from reservoir.integrations.source import CrmError, PassingError, Source
from tests.support.salesforce.reading import Reading, read, wanted
from tests.support.salesforce.server import SalesforceOrg, Says

REPORT = "00O5e000004XyZaEAK"
DANA, EVAN, FAYE = "00Q5e00000AbCdEEAV", "00Q5e00000AbCdFEAV", "0035e00000XyZabAAF"
OWNER = {"label": "Olga Owner", "value": "0055e000001AbCdAAK"}


def cell(value: Any, label: str | None = None, **more: Any) -> dict[str, Any]:
    return {"label": str(value) if label is None else label, "value": value, **more}


NOTHING = {"label": "-", "value": None}
NO = cell(value=False, label="false")


def metadata(columns: list[str], **more: Any) -> dict[str, Any]:
    return {"id": REPORT, "name": "Cold", "reportFormat": "TABULAR", "reportType": {"type": "LeadList", "label": "Leads"}, "detailColumns": columns, **more}


def told(**kinds: str) -> dict[str, dict[str, str]]:
    return {token: {"label": token.title(), "dataType": kind} for token, kind in kinds.items()}


def played(org: SalesforceOrg, source: Source, described: dict[str, Any], result: dict[str, Any], **columns: Any) -> Reading:
    """A reading of what an org once answered."""
    org.fail("/describe$", Says(200, described))
    org.fail(f"/analytics/reports/{REPORT}$", Says(200, result))
    return read(source, wanted("report", REPORT, **columns))


def rows(*rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"rows": [{"dataCells": row} for row in rows], "aggregates": []}


def test_a_tabular_answer_of_an_old_version(org: SalesforceOrg, source: Source) -> None:
    """No entities, no type's columns, filters and groups that are null, empty texts, escaped labels, a 15-character id, and no second sign of a cut."""
    columns = ["LEAD_ID", "FIRST_NAME", "LAST_NAME", "COMPANY", "PHONE", "MOBILE_PHONE", "FAX", "OWNER", "RATING", "DO_NOT_CALL", "CONVERTED"]
    kinds = {"LEAD_ID": "id", "PHONE": "phone", "MOBILE_PHONE": "phone", "FAX": "phone", "RATING": "picklist", "DO_NOT_CALL": "boolean", "CONVERTED": "boolean"}
    described = {"reportMetadata": metadata(columns, reportFilters=None, groupingsDown=None, groupingsAcross=None, sortBy=None, reportBooleanFilter=None)}
    result = {
        "allData": True,
        "factMap": {
            "T!T": rows(
                [
                 cell(DANA[:15]), cell(DANA, "Dana"), cell(DANA, "Ito"), cell("Acme & Co", "Acme &amp; Co", escapedLabel="Acme &amp;amp; Co"),
                 cell("(415) 555-0100"), cell(""), cell("415-555-9999"), OWNER, cell("Hot"), NO, NO,
                ],
                [
                 cell(EVAN[:15]), cell("Evan"), cell("Ode"), NOTHING, NOTHING, cell("+14155550101"), NOTHING, OWNER, NOTHING, cell("true"),
                 cell(None, "false"),
                ],
            ),
        },
        "reportExtendedMetadata": {"detailColumnInfo": told(**kinds), "picklistColors": {"RATING": {}}},
        "reportMetadata": metadata(columns),
        "picklistColors": {},
    }  # fmt: skip
    reading = played(org, source, {**described, "reportExtendedMetadata": {"detailColumnInfo": told(**kinds)}}, result)
    dana, evan = reading.members
    assert (dana.id, dana.name, dana.company, dana.owner) == (DANA, "Dana Ito", "Acme & Co", "Olga Owner")
    assert dana.phones == (Phone("phone", "+14155550100"),)
    assert dana.fields == {"RATING": "Hot", "FAX": "415-555-9999"}
    assert (evan.id, evan.name, evan.company, evan.do_not_call) == (EVAN, "Evan Ode", None, True)
    assert evan.phones == (Phone("mobile", "+14155550101"),)


def test_a_summary_answer(org: SalesforceOrg, source: Source) -> None:
    """Rows under the leaves of two levels, in the order of the groups and not of the map; totals have none."""
    groups = [{"name": "STATUS"}, {"name": "OWNER", "sortOrder": "Asc"}]
    told_of = metadata(["LEAD_ID", "LAST_NAME"], reportFormat="SUMMARY", groupingsDown=groups, groupingsAcross=[])
    kinds = {"LEAD_ID": "id", "LAST_NAME": "string"}
    owner = {"key": "0_0", "groupings": [], **OWNER}
    result = {
        "allData": True,
        "hasDetailRows": True,
        "factMap": {
            "T!T": rows(),
            "1_0!T": rows([cell(FAYE, FAYE[:15]), cell(FAYE, "Fox")]),
            "1!T": rows(),
            "0_1!T": rows([cell(EVAN, EVAN[:15]), cell(EVAN, "Ode")]),
            "0_0!T": rows([cell(DANA, DANA[:15]), cell(DANA, "Ito")]),
            "0!T": {"aggregates": [cell(2)]},
        },
        "groupingsDown": {
            "groupings": [
                {"key": "0", **cell("Open"), "groupings": [owner, {**owner, "key": "0_1", "label": "Otto Other"}]},
                {"key": "1", **cell("Working"), "groupings": [{**owner, "key": "1_0"}]},
            ],
        },
        "groupingsAcross": {"groupings": []},
        "reportExtendedMetadata": {"detailColumnInfo": told(**kinds), "groupingColumnInfo": told(STATUS="picklist", OWNER="string")},
    }
    reading = played(org, source, {"reportMetadata": told_of, "reportExtendedMetadata": {"detailColumnInfo": told(**kinds)}}, result)
    assert [(member.id, member.owner, member.fields) for member in reading.members] == [
        (DANA, "Olga Owner", {"STATUS": "Open"}), (EVAN, "Otto Other", {"STATUS": "Open"}), (FAYE, "Olga Owner", {"STATUS": "Working"}),
    ]  # fmt: skip


def test_a_matrix_answer_with_ten_groups_and_more(org: SalesforceOrg, source: Source) -> None:
    """Groups come by number: the tenth behind the ninth, whatever letters would say."""
    told_of = metadata(["LEAD_ID"], reportFormat="MATRIX", groupingsDown=[{"name": "STATUS"}], groupingsAcross=[{"name": "RATING"}])
    ids = [f"00Q5e0000000{number:03}" for number in range(24)]
    facts = {f"{number // 2}!{number % 2}": rows([cell(one)]) for number, one in enumerate(ids)}
    result = {
        "allData": True,
        "factMap": {**dict(sorted(facts.items(), reverse=True)), "T!T": rows(), "0!T": rows(), "T!0": rows()},
        "groupingsDown": {"groupings": [{"key": str(number), **cell(f"S{number}")} for number in range(12)]},
        "groupingsAcross": {"groupings": [{"key": str(number), **cell(f"R{number}"), "groupings": None} for number in range(2)]},
    }
    reading = played(org, source, {"reportMetadata": told_of, "reportExtendedMetadata": {"detailColumnInfo": told(LEAD_ID="id")}}, result)
    assert [one[:15] for one in reading.ids] == ids
    assert reading.members[23].fields == {"STATUS": "S11", "RATING": "R1"}


def test_an_answer_without_the_columns_that_were_added(org: SalesforceOrg, source: Source) -> None:
    """Who is meant is told by what there is."""
    type_metadata = {"categories": [{"label": "", "columns": {"LEAD_ID": {"label": "", "dataType": "id", "entityColumnName": "Lead.Id"}}}]}
    result = {"allData": True, "factMap": {"T!T": rows([cell(DANA, "Ito"), cell("4155550100")])}, "reportMetadata": metadata(["LAST_NAME", "PHONE"])}
    described = {
        "reportMetadata": metadata(["LAST_NAME", "PHONE"]),
        "reportExtendedMetadata": {"detailColumnInfo": told(LAST_NAME="string", PHONE="phone")},
        "reportTypeMetadata": type_metadata,
    }
    (member,) = played(org, source, described, result).members
    assert (member.id, member.name, member.phones) == (DANA, "Ito", (Phone("phone", "+14155550100"),))


def test_a_person_whose_id_is_none_is_rejected(org: SalesforceOrg, source: Source) -> None:
    """R18: a suffix that does not fit is no Salesforce id; a user's record is no lead."""
    bad, user = "00Q5e00000AbCdEAAA", "0055e000001AbCdAAK"
    result = {"allData": True, "factMap": {"T!T": rows([cell(bad)], [cell(user[:15])], [cell(DANA)], [NOTHING])}}
    described = {"reportMetadata": metadata(["LEAD_ID"]), "reportExtendedMetadata": {"detailColumnInfo": told(LEAD_ID="id")}}
    reading = played(org, source, described, result)
    assert reading.ids == [DANA]
    assert [row.record[:15] for row in reading.rejected] == [bad[:15], user[:15], ""]


def test_two_thousand_rows_without_a_word_of_a_cut_are_one(org: SalesforceOrg, source: Source) -> None:
    """An answer that does not say whether it is all is not taken for all."""
    result = {"factMap": {"T!T": rows(*([cell(f"00Q5e0000{number:06}")] for number in range(2_000)))}}
    described = {"reportMetadata": metadata(["LEAD_ID"]), "reportExtendedMetadata": {"detailColumnInfo": told(LEAD_ID="id")}}
    with pytest.raises(CrmError) as caught:
        played(org, source, described, result)
    assert caught.value.slug == "crm-no-progress"


def test_what_a_reports_own_row_limit_leaves_out_is_no_cut(org: SalesforceOrg, source: Source) -> None:
    """The admin wants two, and has two, though Salesforce says that there are more."""
    told_of = metadata(["LEAD_ID"], topRows={"rowLimit": 2, "direction": "Asc"}, sortBy=[{"sortColumn": "LEAD_ID", "sortOrder": "Asc"}])
    result = {"allData": False, "factMap": {"T!T": rows([cell(DANA)], [cell(EVAN)])}}
    reading = played(org, source, {"reportMetadata": told_of, "reportExtendedMetadata": {"detailColumnInfo": told(LEAD_ID="id")}}, result)
    assert (reading.ids, len(reading.pages), reading.last.truncated) == ([DANA, EVAN], 1, False)


@pytest.mark.parametrize("described", [{}, {"reportMetadata": []}, {"reportMetadata": {"detailColumns": 7}}, {"reportMetadata": {"groupingsDown": [{}]}}, [1]])
def test_a_description_that_is_none(org: SalesforceOrg, source: Source, described: Any) -> None:
    """Nonsense is worth another try, and no crash."""
    with pytest.raises(PassingError) as caught:
        played(org, source, described, {})
    assert caught.value.slug == "crm-bad-answer"
