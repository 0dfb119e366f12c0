"""Whose lake it is: the customers of two companies in one lake would be taken for one another's.

The first night writes down name, currency and time zone; from then on every command and task compares. A company that was renamed
lists its former names in company.toml. With another currency or time zone, amounts and days of old nights would mean something else.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pipeline.definitions.company import Company
from pipeline.definitions.lake_claim import LakeClaim, read_claim, require_format, write_claim
from pipeline.errors import ConfigError
from pipeline.lake import addresses
from pipeline.lake.tables import CUSTOMER_FEATURES, EXTRACTIONS

if TYPE_CHECKING:
    from pipeline.lake.lake import Lake

NAME, CURRENCY, TIME_ZONE = "name", "currency", "time_zone"


def require_owner(lake: Lake, company: Company) -> None:
    """Raise ConfigError where the lake belongs to another company, or was written in another format; DataError where it says it wrongly."""
    require_format(lake, read_claim(lake))
    require_company(lake, company)


def require_company(lake: Lake, company: Company) -> None:
    """Raise ConfigError where the lake, of whatever format, belongs to another company; DataError where it says its company wrongly."""
    claim = read_claim(lake)
    if claim is None:
        return
    own, found = _facts(_claim_of(company)), _facts(claim)
    is_renamed = claim.name in company.former_names
    differing = [fact for fact in own if found[fact] != own[fact] and not (fact == NAME and is_renamed)]
    # A lake whose first night failed before it had read anything is read again whole, by whatever company.toml says then.
    if not differing or not (lake.nights(EXTRACTIONS) or lake.nights(CUSTOMER_FEATURES)):
        return
    differences = ", ".join(f"{fact} `{found[fact]}`, not `{own[fact]}`" for fact in differing)
    todo = "Name the company of this lake with --company, or choose another lake with --lake, or SEGMENTS_LAKE."
    if differing == [NAME]:
        names = json.dumps([claim.name], ensure_ascii=False)
        todo += f" If it is the same company under a new name, write `former_names = {names}` into {company.folder / 'company.toml'}."
    raise ConfigError(f"the lake is another company's: {differences}", where=lake.where(addresses.OWNER), todo=todo)


def claim_lake(lake: Lake, company: Company) -> None:
    """Write down that the lake is the company's; raises as `require_owner` does where it is another's."""
    with lake.lock("definitions"):  # two companies may begin at once
        require_owner(lake, company)
        write_claim(lake, _claim_of(company))


def _claim_of(company: Company) -> LakeClaim:
    return LakeClaim(company.name, company.currency, company.zone.key)


def _facts(claim: LakeClaim) -> dict[str, str]:
    return {NAME: claim.name, CURRENCY: claim.currency, TIME_ZONE: claim.time_zone}
