"""Whose lake it is: the customers of two companies in one lake would be taken for one another's.

The first night writes down name, currency and time zone; from then on every command and task compares. A company that was renamed
lists its former names in company.toml. With another currency or time zone, amounts and days of old nights would mean something else.

Beside it stands the format of the lake. It is raised with a change by which one version would misread what another wrote.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pipeline.definitions.company import Company
from pipeline.errors import ConfigError, DataError
from pipeline.lake import addresses
from pipeline.lake.tables import CUSTOMER_FEATURES, EXTRACTIONS

if TYPE_CHECKING:
    from pipeline.lake.lake import Lake

NAME, CURRENCY, TIME_ZONE = "name", "currency", "time_zone"
FORMAT_KEY, FORMAT = "format", 1


def require_owner(lake: Lake, company: Company) -> None:
    """Raise ConfigError where the lake belongs to another company, or was written in another format; DataError where it says it wrongly."""
    own, found = _facts(company), _read_claim(lake)
    if found:
        _require_format(lake, found[FORMAT_KEY])
    is_renamed = found is not None and found[NAME] in company.former_names
    differing = [fact for fact in own if found and found[fact] != own[fact] and not (fact == NAME and is_renamed)]
    # A lake whose first night failed before it had read anything is read again whole, by whatever company.toml says then.
    if found is None or not differing or not (lake.nights(EXTRACTIONS) or lake.nights(CUSTOMER_FEATURES)):
        return
    differences = ", ".join(f"{fact} `{found[fact]}`, not `{own[fact]}`" for fact in differing)
    todo = "Choose another lake with --lake, or SEGMENTS_LAKE."
    if differing == [NAME]:
        names = json.dumps([found[NAME]], ensure_ascii=False)
        todo += f" If it is the same company under a new name, write `former_names = {names}` into {company.folder / 'company.toml'}."
    raise ConfigError(f"the lake is another company's: {differences}", where=lake.where(addresses.OWNER), todo=todo)


def claim_lake(lake: Lake, company: Company) -> None:
    """Write down that the lake is the company's; raises as `require_owner` does where it is another's."""
    with lake.lock("definitions"):  # two companies may begin at once
        require_owner(lake, company)
        text = json.dumps({**_facts(company), FORMAT_KEY: FORMAT}, indent=1, ensure_ascii=False) + "\n"
        if not lake.exists(addresses.OWNER) or lake.read_text(addresses.OWNER) != text:
            lake.write_text(addresses.OWNER, text)


def _facts(company: Company) -> dict[str, str]:
    return {NAME: company.name, CURRENCY: company.currency, TIME_ZONE: company.zone.key}


def _require_format(lake: Lake, found: int) -> None:
    """Raise ConfigError where another version of the program wrote the lake in another format."""
    if found == FORMAT:
        return
    age, todo = "a newer", "Install the version that wrote it, or a newer one; or choose another lake with --lake, or SEGMENTS_LAKE."
    if found < FORMAT:
        age = "an older"
        todo = "Keep it for that version, and begin another: segments run --lake ANOTHER_FOLDER, or set SEGMENTS_LAKE."
    raise ConfigError(
        f"the lake was written by {age} version of this program: its format is {found}, and this version writes {FORMAT}",
        where=lake.where(addresses.OWNER),
        todo=todo,
    )


def _read_claim(lake: Lake) -> dict[str, Any] | None:
    """Return what the lake says of itself; one that was claimed before formats had numbers has the first."""
    if not lake.exists(addresses.OWNER):
        return None
    try:
        content = json.loads(lake.read_text(addresses.OWNER))
        return {fact: str(content[fact]) for fact in (NAME, CURRENCY, TIME_ZONE)} | {FORMAT_KEY: int(content.get(FORMAT_KEY, 1))}
    except (ValueError, KeyError, TypeError):
        todo = "If the lake is this company's, remove the file, then run again."
        raise DataError("what the lake says of its company is damaged", where=lake.where(addresses.OWNER), todo=todo) from None
