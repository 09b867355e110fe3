"""A service whose orgs are connected to an org of Salesforce's and a portal of HubSpot's on loopback, as its users and its workers meet it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.cli import Running, Service, reservoir, running, service
from tests.support.commands import Commands
from tests.support.hubspot.records import TOKEN, Portal
from tests.support.hubspot.server import serving
from tests.support.salesforce.server import SalesforceOrg, salesforce_org
from tests.support.waiting import wait_until

ENDS_S = 110


@dataclass
class Office:
    """A service whose orgs are all connected to one org of Salesforce's and one portal of HubSpot's."""

    service: Service
    environ: dict[str, str]
    salesforce: SalesforceOrg
    portal: Portal
    org: str = ""
    key: str = field(default="", repr=False)

    def of(self, org: str) -> "Office":
        """The same for one org, with its admin's key; nobody is in the CRMs, and nothing goes wrong in them."""
        fresh = SalesforceOrg().__dict__.items()
        self.salesforce.__dict__.update({name: value for name, value in fresh if name not in ("url", "credentials", "_closing")})
        self.portal.__dict__.update(Portal().__dict__)
        self.portal.most = 1_000
        return Office(self.service, self.environ, self.salesforce, self.portal, org, self.service.key(org))

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """What is answered, which is no refusal."""
        status, told = self.service.ask(method, f"/v1{path}", self.key, body)
        assert status < 300, told
        return told

    def make_list(self, integration: str, kind: str, source: str) -> None:
        """There is a list "west"."""
        self.ask("POST", "/lists", {"id": "west", "name": "West", "integration": integration, "source": {"kind": kind, "id": source}})

    def sync(self) -> Any:
        return self.ask("GET", "/lists/west/sync")

    def synced(self) -> Any:
        """The newest run, once it has ended or waits."""
        told: list[Any] = []

        def ended() -> bool:
            told.append(self.sync())
            return told[-1]["state"] not in {"queued", "running"}

        wait_until(ended, "the run ends", ENDS_S)
        return told[-1]

    def members(self) -> list[str]:
        """All of them, in list order."""
        found: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            told = self.ask("GET", f"/lists/west/members?limit=1000&cursor={cursor}")
            found += [one["prospect"]["id"] for one in told["items"]]
            cursor = told["next_cursor"]
        return found

    def call(self, count: int, outcome: str, rep: str = "ana@acme.com") -> list[Any]:
        """So many are called, and each call has this outcome."""
        claims: list[Any] = self.ask("POST", "/lists/west/claims", {"rep": rep, "session": f"of {rep}", "mode": "parallel", "count": count})["claims"]
        assert len(claims) == count
        for claim in claims:
            self.ask("POST", f"/claims/{claim['id']}/disposition", {"outcome": outcome})
        return claims

    @contextmanager
    def worker(self) -> Iterator[Running]:
        with running(self.service.run.directory, "worker", self.environ) as run:
            wait_until(lambda: "reservoir works on syncs" in run.out or run.process.poll() is not None, "the worker works", 60)
            assert run.process.poll() is None, run.err
            yield run

    def let_go(self, integration: str = "") -> None:
        """The time passes for which the list's run, or what is written back, is held by a worker that says nothing of it."""
        prefix = f"reservoir:{{{self.org}}}:"
        with Commands(int(self.service.store.rpartition(" ")[2])) as client:
            if not integration:
                client("HSET", f"{prefix}list:west:sync", "held", 0)
                client("ZADD", f"{prefix}due", "XX", 0, "west")
                client("ZADD", "reservoir:syncing", int(client("TIME")[0]) * 1_000, self.org)
                return
            for job in client("ZRANGE", f"{prefix}write-back:{integration}:due", 0, -1):
                client("ZADD", f"{prefix}write-back:{integration}:due", "XX", 0, job)

    def left(self, integration: str) -> tuple[int, int]:
        """How much is to be written back still, and how much was refused."""
        told = self.ask("GET", f"/integrations/{integration}/write-back")["write_back"]
        return told["pending"], told["failed"]

    def proves(self) -> None:
        """`verify` finds that nobody was reserved twice."""
        told = reservoir(self.service.run.directory, f"verify --org {self.org} --json", self.environ).json
        assert (told["double_dials"], told["violations"]) == (0, 0)


@contextmanager
def crm_office(directory: Path, orgs: Sequence[str], line: str = "serve --port 0") -> Iterator[Office]:
    """Started, with these orgs."""
    portal = Portal()
    with salesforce_org() as org, serving(portal) as hubspot:
        known = org.credentials
        table = {"SALESFORCE__ENDPOINT": org.url, "SALESFORCE__DOMAIN": "acme.my", "SALESFORCE__CONSUMER_KEY": known.consumer_key}
        table |= {"SALESFORCE__CONSUMER_SECRET": known.consumer_secret, "HUBSPOT__ENDPOINT": hubspot.url, "HUBSPOT__ACCESS_TOKEN": TOKEN}
        environ = {f"RESERVOIR_ORGS__{name.upper()}__{key}": value for name in orgs for key, value in table.items()}
        with service(directory, line, environ) as started:
            yield Office(started, environ, org, portal)
