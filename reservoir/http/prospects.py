"""Prospects over HTTP: over all lists of the org."""

from reservoir.domain.prospects import ProspectId
from reservoir.domain.refusals import InvalidError, Refused
from reservoir.domain.search import Question, enough, words
from reservoir.http import answers
from reservoir.http.finding import find_integration
from reservoir.http.problems import ProblemError
from reservoir.http.visit import Answer, Route, Visit
from reservoir.integrations import phones
from reservoir.integrations.base import integrations

_MAY_RETURN = "A live reservation stays until it expires. A later sync may bring this person back: that is the CRM's to stop."
_UNKNOWN = Refused("not-found", "This prospect is in no list, and nobody has it.")


async def search_prospects(visit: Visit, _: None) -> Answer:
    """Those whose id, number or name is meant."""
    text = visit.query.values.get("q", "")
    if not enough(text):
        raise ProblemError.invalid(
            [{"parameter": "q", "detail": f"expected a record id, a phone number or at least two letters of a name, found {text[:40]!r}"}]
        )
    question = Question(_ids(text), phones.read(text, visit.org.profile.phone_region, ""), tuple(words(text)))
    found = await visit.services.prospects.search(visit.org, question)
    return Answer({"items": [answers.found_prospect(one) for one in found]})


async def get_prospect(visit: Visit, _: None) -> Answer | Refused:
    """One prospect, its lists, and who has it."""
    found = await visit.services.prospects.get(visit.org, ProspectId(visit.integration(), visit.prospect()))
    return Answer(answers.found_prospect(found)) if found else _UNKNOWN


async def erase_prospect(visit: Visit, _: None) -> Answer | Refused:
    """The person is forgotten, but for what keeps everybody from a double dial."""
    lists = await visit.services.prospects.erase(visit.org, ProspectId(visit.integration(), visit.prospect()), visit.by)
    return _UNKNOWN if lists is None else Answer({"erased": True, "lists": lists, "detail": _MAY_RETURN})


def _ids(text: str) -> tuple[ProspectId, ...]:
    """Whose record id the text may be: in each integration that has ids of that form."""
    found = []
    for name, integration in integrations().items():
        try:
            found.append(ProspectId(name, integration.prospect_id(text.strip())))
        except InvalidError:
            continue
    return tuple(found)


ROUTES = (
    Route("GET", "/v1/prospects", search_prospects, "read", "Search all lists by id, number or name", answer="FoundProspects", query=("q",)),
    Route(
        "GET",
        "/v1/prospects/{integration}/{prospect}",
        get_prospect,
        "read",
        "See a prospect, its lists, and who has it",
        find=find_integration,
        answer="FoundProspect",
        problems=("integration-not-found", "not-found"),
    ),
    Route(
        "DELETE",
        "/v1/prospects/{integration}/{prospect}",
        erase_prospect,
        "admin",
        "Erase a person",
        find=find_integration,
        answer="Erased",
        problems=("integration-not-found", "not-found"),
    ),
)
