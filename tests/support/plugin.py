"""A package with an integration of its own, as somebody outside would write it: the README's, put where a process finds it."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def readme_example() -> str:
    """The module that the README's section shows."""
    section = README.read_text().split("### Write an integration")[1]
    found = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


def install(directory: Path, module: str) -> Mapping[str, str]:
    """Puts the package, which has this module, into the directory, and returns what a process must have in its environment to find it."""
    site = directory / "site"
    info = site / "phonebook-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "phonebook.py").write_text(module)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: phonebook\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[reservoir.integrations]\nphonebook = phonebook:integration\n")
    return {"PYTHONPATH": f"{Path(__file__).parents[2]}:{site}"}


def write_book(path: Path, pages: Sequence[Sequence[str]]) -> None:
    """A phone book of these people, in pages."""
    path.write_text(json.dumps([[{"id": id_, "name": f"Ida {id_}", "phone": "+14155550100"} for id_ in page] for page in pages]))


GATED = '''
import json, time
from pathlib import Path

from reservoir.config import Table
from reservoir.domain.prospects import Member, Phone
from reservoir.integrations.base import Integration
from reservoir.integrations.source import Checked, Page


class Settings(Table):
    path: str


class Gated:
    """A phone book whose pages are there as soon as the file `released` beside it names so many of them; `asked` names the last that was asked for."""

    def __init__(self, settings, pace):
        self._path = Path(settings.path)
        self._pace = pace

    def pages(self, wanted, cursor):
        book = json.loads(self._path.read_text())
        for number in range(cursor["page"] if cursor else 0, len(book)):
            (self._path.parent / "asked").write_text(str(number))
            while int((self._path.parent / "released").read_text()) <= number:
                time.sleep(0.01)
            members = tuple(Member("phonebook", one["id"], one["name"], (Phone("phone", one["phone"]),)) for one in book[number])
            yield Page(members, cursor={"page": number + 1} if number + 1 < len(book) else None, total=sum(map(len, book)))

    def check(self):
        return Checked(user=None, may=(), may_not=("read",), budget={}, lacking=True)

    def close(self):
        pass


integration = Integration("phonebook", prospect_id=str.strip, kinds=("book",), connect=Gated, table=Settings)
'''
"""The same with gates, for tests of when its worker dies."""
