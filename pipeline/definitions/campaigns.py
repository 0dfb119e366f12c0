"""Campaigns that a company plans itself, one file of `campaigns/` each: whom for, in which arms, from when to when, at what cost.

A file is read when a campaign is planned and started. From then on the campaign goes by what was stored at its start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from pipeline.calendar import ONE_DAY
from pipeline.definitions.company import Company
from pipeline.definitions.definition_files import Definition, definition_files, read_definition
from pipeline.definitions.fields import IDENTIFIER, Document, Fields, printable_value, require_identifier
from pipeline.errors import ConfigError
from pipeline.lake.tables import MONEY_DECIMALS

FOLDER = "campaigns"
EVERYBODY = "everybody"
CONTROL, TREATED = "control", "treated"
CONTROL_SHARE = 0.1
METRICS = ("ordered", "visited", "spend")
FEWEST_IN_ARM = 2
"""Of a single customer there is no variance, so no effect."""
LOOK_COUNT = 4
FEWEST_DAYS_WITH_LOOKS = 28
MOST_DAYS = 366
SHARE_PARTS = 1_000_000
"""Shares are whole numbers of so many parts, so that they add up exactly."""
_MOST_ARMS = 10
_SMALLEST_SHARE = 0.001


class CampaignState(StrEnum):
    """How far a campaign is on a night, or why nothing may be told of it."""

    PLANNED = "planned"
    RUNNING = "running"
    FINAL = "final"
    TOO_FEW = "too few"
    NOT_COMPARABLE = "not comparable"
    SAMPLE_RATIO = "sample ratio"


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm: its share of the audience in parts of SHARE_PARTS, and what each customer in it costs."""

    name: str
    share_parts: int
    is_control: bool
    cost_per_contact: Decimal

    @property
    def share(self) -> float:
        """The share of the audience, 0 to 1."""
        return self.share_parts / SHARE_PARTS


@dataclass(frozen=True, slots=True)
class CampaignDefinition:
    """One campaign as its file says it; days are local ones, and both count.

    `audience` is EVERYBODY, an audience's name, `scheme.segment`, or a rule. `look_count` is how often results are told, the end
    included. Exactly one of the arms is the control.
    """

    campaign_id: str
    where: str
    text: str
    title: str
    audience: str
    scheme: str
    arms: tuple[Arm, ...]
    start_day: date
    end_day: date
    channel: str
    fixed_cost: Decimal
    margin_share: float | None
    primary_metric: str
    look_count: int
    is_exclusive: bool
    is_holdout: bool
    salt: str

    @property
    def control(self) -> Arm:
        """The arm that nothing is done for."""
        return next(arm for arm in self.arms if arm.is_control)

    @property
    def day_count(self) -> int:
        """How many days count."""
        return (self.end_day - self.start_day).days + 1

    def overlaps(self, start: date, end: date) -> bool:
        """Return whether any day from `start` to `end` is one of the campaign's."""
        return self.start_day <= end and start <= self.end_day


def campaign_names(company: Company) -> list[str]:
    """Return the ids of the company's campaigns, in order; their files are not read."""
    return [path.stem for path in definition_files(company.folder / FOLDER, ".toml")]


def load_campaigns(company: Company) -> dict[str, CampaignDefinition]:
    """Return the company's campaigns by id; raises ConfigError with file and setting for one that is wrong."""
    return {path.stem: read_campaign(read_definition(path)) for path in definition_files(company.folder / FOLDER, ".toml")}


def load_campaign(file: Path) -> CampaignDefinition:
    """Return the campaign of `file`; raises ConfigError where there is none or something in it is wrong."""
    if not file.is_file():
        raise ConfigError("no such file", where=str(file), todo=f"Name a file of {FOLDER}/, such as {FOLDER}/win_back.toml.")
    return read_campaign(read_definition(file))


def read_campaign(definition: Definition) -> CampaignDefinition:
    """Return the campaign that a file describes; its id is the file's name."""
    where, name = str(definition.file), definition.file.stem
    require_identifier(name, "the campaign's name", where)
    content = Fields(definition.toml(), Document(where))
    is_holdout = content.take("holdout", bool, default=False)
    audience = content.text("audience", longest=10_000)
    start_day, end_day = content.take("start_day", date), content.take("end_day", date)
    looks = content.take("looks", int, default=1)
    content.note("looks", low=1, high=LOOK_COUNT)
    campaign = CampaignDefinition(
        campaign_id=name,
        where=where,
        text=definition.text,
        title=content.text("title", default=name),
        audience=audience.strip(),
        scheme=content.text("scheme", pattern=IDENTIFIER, default="rfm"),
        arms=_read_arms(content),
        start_day=start_day,
        end_day=end_day,
        channel=content.take("channel", str, default=""),
        fixed_cost=_read_amount(content, "fixed_cost", Decimal(0)),
        margin_share=content.number("margin_share", 0, 1) if content.has("margin_share") else None,
        primary_metric=content.choice("primary_metric", METRICS, default="ordered"),
        look_count=looks,
        is_exclusive=content.take("exclusive", bool, default=not is_holdout),
        is_holdout=is_holdout,
        salt=content.take("salt", str, default=""),
    )
    content.refuse_unknown()
    _require_sensible(campaign, content)
    return campaign


def _require_sensible(campaign: CampaignDefinition, content: Fields) -> None:
    if not ONE_DAY <= campaign.end_day - campaign.start_day + ONE_DAY <= MOST_DAYS * ONE_DAY:
        what = f"must be the start day or one of the {MOST_DAYS - 1} days after it"
        raise content.refusal("end_day", what, "Correct start_day or end_day; both days count.")
    if campaign.look_count not in (1, LOOK_COUNT):
        raise content.refusal("looks", f"must be {LOOK_COUNT}, or be left out", "Looks at other times would need other limits.")
    if campaign.look_count > 1 and campaign.day_count < FEWEST_DAYS_WITH_LOOKS:
        what = f"needs a campaign of {FEWEST_DAYS_WITH_LOOKS} days or more: this one has {campaign.day_count}"
        raise content.refusal("looks", what, "Leave it out, or let the campaign run longer.")
    if campaign.is_holdout and (campaign.audience != EVERYBODY or campaign.is_exclusive):
        what = f'needs audience = "{EVERYBODY}", and cannot be exclusive'
        raise content.refusal("holdout", what, "A holdout is about all customers, and runs beside all campaigns.")


def _read_arms(content: Fields) -> tuple[Arm, ...]:
    """Return the arms in the order of the file, the control last where the file has none; shares that are not given are equal."""
    cost = _read_amount(content, "cost_per_contact", Decimal(0))
    sections = content.section("arms").sections(IDENTIFIER)
    named: list[tuple[str, int | None, bool, Decimal]] = []
    for name, section in sections:
        require_identifier(name, "the name of the arm", content.where)
        is_control = section.take("is_control", bool, default=name == CONTROL)
        share = _read_share(section)
        arm_cost = Decimal(0) if is_control else cost
        named.append((name, share, is_control, _read_amount(section, "cost_per_contact", arm_cost)))
        section.refuse_unknown()
    names, controls = [name for name, *_ in named], [name for name, _, is_control, _ in named if is_control]
    # An arm that the file leaves out is added below, and everything goes by the names of arms.
    if CONTROL in names and not controls:
        raise content.refusal(
            "arms", f"calls an arm `{CONTROL}` that is none", "Call it otherwise: the one that is left alone has this name."
        )
    if names == controls == [TREATED]:
        raise content.refusal("arms", f"calls the control `{TREATED}`, as the other arm is called", "Call it otherwise.")
    if not any(not is_control for _, _, is_control, _ in named):
        named.insert(0, (TREATED, None, False, cost))
    if not controls:
        named.append((CONTROL, round(CONTROL_SHARE * SHARE_PARTS), True, Decimal(0)))
    if len(controls) > 1:
        raise content.refusal("arms", "has more than one control", "Keep is_control = true in one of them.")
    if len(named) > _MOST_ARMS:
        raise content.refusal("arms", f"has {len(named)} arms; there may be {_MOST_ARMS}", "Fewer arms are told apart sooner.")
    return tuple(_with_shares(named, content))


def _with_shares(named: Sequence[tuple[str, int | None, bool, Decimal]], content: Fields) -> list[Arm]:
    default = round(CONTROL_SHARE * SHARE_PARTS)
    given = [default if share is None and is_control else share for _, share, is_control, _ in named]
    open_count = sum(share is None for share in given)
    left = SHARE_PARTS - sum(share or 0 for share in given)
    if (left != 0 and not open_count) or (open_count and left < open_count * _SMALLEST_SHARE * SHARE_PARTS):
        total = (SHARE_PARTS - left) / SHARE_PARTS
        what = f"has shares that add up to {f'{total:.6f}'.rstrip('0').rstrip('.')}, the control's included, and not to 1"
        todo = "Correct them, or leave some out: what is left is divided among these arms."
        raise content.refusal("arms", what, todo)
    arms = []
    for (name, _, is_control, cost), share in zip(named, given, strict=True):
        parts = share
        if parts is None:
            # One after the other, so that no part is lost where it does not divide.
            parts = left // open_count
            left, open_count = left - parts, open_count - 1
        arms.append(Arm(name, parts, is_control, cost))
    return arms


def _read_share(section: Fields) -> int | None:
    return round(section.number("share", _SMALLEST_SHARE, 1 - _SMALLEST_SHARE) * SHARE_PARTS) if section.has("share") else None


def _read_amount(section: Fields, key: str, default: Decimal) -> Decimal:
    """Return an amount of money, exactly as it is written; raises ConfigError for one with more decimals than money has."""
    if not section.has(key):
        section.note(key, kinds=frozenset({int, float}), low=0)
        return default
    amount = Decimal(repr(section.number(key, 0)))
    if amount != round(amount, MONEY_DECIMALS):
        raise section.refusal(key, f"is {printable_value(str(amount))}; money has {MONEY_DECIMALS} decimals", "Round it.")
    return amount
