"""The formats in which a column writes dates and times. Where no day is above 12, day and month are not guessed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from velocast.core.city.reading import ISO

_TIME = (
    r"(?P<time>(?P<hour>\d{1,2})(?P<colon>[:.hH])(?P<minute>\d{2})(?P<second>:\d{2})?(?P<fraction>[.,]\d{1,9})?"
    r"(?P<gap> ?)(?P<half>[AaPp]\.?[Mm]\.?)?)"
)
_ZONE = r"(?P<zone> ?(?:Z|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2}))"
_DATE = (
    r"(?P<weekday>[A-Za-z]{2,9}\.?,? +)?"
    r"(?:(?P<ymd>\d{4}(?P<s1>[-/.])\d{1,2}(?P=s1)\d{1,2})"
    r"|(?P<abc>(?P<a>\d{1,2})(?P<s2>[-/.])(?P<b>\d{1,2})(?P=s2)(?P<year>\d{4}|\d{2}))(?!\d)"
    r"|(?P<compact>\d{8}(?:\d{4}|\d{6})?)(?!\d)"
    r"|(?P<dMy>\d{1,2}(?P<s3>[- ])(?P<M1>[A-Za-z]{3,9})(?P=s3)(?P<y1>\d{4}|\d{2}))"
    r"|(?P<Mdy>(?P<M2>[A-Za-z]{3,9}) \d{1,2}(?P<comma>,?) \d{4}))"
)
_FULL = re.compile(rf"^{_DATE}(?:(?P<between>T|,? +|  ?- ?){_TIME})?{_ZONE}?$")
_ONLY_TIME = re.compile(rf"^{_TIME}{_ZONE}?$")
_EPOCH = re.compile(r"^\d{10}(?:\d{3})?(?:\.0)?$")
ORDERS = {"dmy": ("%d", "%m"), "mdy": ("%m", "%d")}


@dataclass
class Formats:
    """How the dates of a column are written.

    formats: for strptime, with {0} and {1} for day and month where their order is not in the text itself; ambiguous: no
    date shows which order it is; contradictory: some show one order and some the other.
    """

    formats: list[str] = field(default_factory=list)
    has_date: bool = False
    has_time: bool = False
    has_offset: bool = False
    is_utc: bool = False
    order: str | None = None
    short_year: bool = False
    contradictory: bool = False
    epoch: bool = False
    unread: int = 0
    shown: str = ""  # a date of which the order is asked

    @property
    def ambiguous(self) -> bool:
        """Whether only a person can say which number is the day."""
        return self.order is None and any("{0}" in each for each in self.formats)

    def ordered(self, order: str | None = None) -> tuple[str, ...]:
        """Return the formats with day and month in an order: that of the file, else the given one."""
        chosen = ORDERS[self.order or order or "dmy"]
        filled = [each.format(*chosen) for each in self.formats]
        return tuple(dict.fromkeys(filled))


def read_formats(texts: Iterable[str]) -> Formats | None:
    """Return how a column's distinct texts write dates or times of day; None where under 90 % of them are any."""
    found = Formats()
    seen: dict[str, int] = {}
    firsts: set[int] = set()
    largest = {"a": 0, "b": 0}
    total = 0
    for text in texts:
        total += 1
        if epoch := _epoch(text):
            found.epoch = found.has_date = found.has_time = found.has_offset = True
            seen[epoch] = seen.get(epoch, 0) + 1
            continue
        match = _FULL.match(text) or _ONLY_TIME.match(text)
        name = match and _format(match, found)
        if not match or not name:
            found.unread += 1
            continue
        seen[name] = seen.get(name, 0) + 1
        if "a" in match.groupdict() and match["abc"]:
            firsts.add(int(match["a"]))
            largest = {k: max(largest[k], int(match[k])) for k in largest}
            found.shown = found.shown or text
            found.short_year |= len(match["year"]) == 2
    if not total or found.unread > 0.1 * total:
        return None
    if largest["a"] > 12 and largest["b"] > 12:
        found.contradictory = True
    elif largest["a"] > 12:
        found.order = "dmy"
    elif largest["b"] > 12:
        found.order = "mdy"
    found.formats = [name for name, _ in sorted(seen.items(), key=lambda item: -item[1])]
    if found.formats and set(found.formats) <= {ISO}:
        found.formats = [ISO]
    return found


def _epoch(text: str) -> str | None:
    if not _EPOCH.match(text):
        return None
    digits = text.removesuffix(".0")
    seconds = int(digits) / (1000 if len(digits) == 13 else 1)
    if not 631_152_000 < seconds < 4_102_444_800:  # 1990 to 2099
        return None
    return "epoch_ms" if len(digits) == 13 else "epoch_s"


def _format(match: re.Match[str], found: Formats) -> str | None:
    """Return the format of one text, and note what it has. None where it only looks like one."""
    parts = match.groupdict()
    zone, time = parts.get("zone"), parts.get("time")
    dated = match.re is _FULL
    if dated and _is_iso(match.string):
        found.has_date = True
        found.has_time |= bool(time)
        found.has_offset |= bool(zone)
        return ISO
    date = _date_format(parts) if dated else ""
    clock = _time_format(parts) if time else ""
    if date is None or clock is None:
        return None
    if zone and not time and not parts.get("compact"):
        return None
    found.has_date |= dated
    found.has_time |= bool(time) or len(parts.get("compact") or "") > 8
    found.has_offset |= bool(zone)
    return date + (parts.get("between") or "") + clock + _zone_format(zone)


def _zone_format(zone: str | None) -> str:
    if not zone:
        return ""
    blank = " " if zone.startswith(" ") else ""
    return blank + ("%Z" if zone.strip() in {"UTC", "GMT"} else "%z")


def _is_iso(text: str) -> bool:
    if not re.match(r"^\d{4}-\d{2}-\d{2}", text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _date_format(parts: dict[str, str | None]) -> str | None:
    # a weekday in front is kept: strptime reads English ones
    day = _weekday(parts.get("weekday"))
    if day is None:
        return None
    if parts["ymd"]:
        return day + "%Y{s}%m{s}%d".replace("{s}", str(parts["s1"]))
    if parts["abc"]:
        year = "%Y" if len(str(parts["year"])) == 4 else "%y"
        return day + "{0}" + f"{parts['s2']}{{1}}{parts['s2']}{year}"
    if text := parts["compact"]:
        if not 1990 <= int(text[:4]) <= 2099 or not 1 <= int(text[4:6]) <= 12:
            return None
        return {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}[len(text)]
    if parts["dMy"]:
        year = "%Y" if len(str(parts["y1"])) == 4 else "%y"
        month = _month(parts["M1"])
        return month and day + f"%d{parts['s3']}{month}{parts['s3']}{year}"
    month = _month(parts["M2"])
    return month and day + f"{month} %d{parts['comma']} %Y"


def _weekday(text: str | None) -> str | None:
    if not text:
        return ""
    word = text.strip().rstrip(",").rstrip(".")
    for mark in ("%a", "%A"):
        try:
            datetime.strptime(word, mark)  # noqa: DTZ007 - a word
        except ValueError:
            continue
        return text.replace(word, mark).replace("  ", " ")
    return None


def _month(text: str | None) -> str | None:
    for mark in ("%b", "%B"):
        try:
            datetime.strptime(str(text), mark)  # noqa: DTZ007 - a word
        except ValueError:
            continue
        return mark
    return None


def _time_format(parts: dict[str, str | None]) -> str | None:
    hour, minute = int(parts["hour"] or 0), int(parts["minute"] or 0)
    if hour > 24 or minute > 59:
        return None
    made = ("%I" if parts["half"] else "%H") + str(parts["colon"]) + "%M"
    if parts["second"]:
        made += ":%S"
    if parts["fraction"]:
        made += str(parts["fraction"])[0] + "%f"
    return made + (f"{parts['gap']}%p" if parts["half"] else "")


def day_month_order(text: str) -> str | None:
    """Return dmy or mdy for a date format as a person writes it (`DD/MM/YYYY`, `%d.%m.%Y`); None if neither."""
    words = text.casefold().replace("%", "")
    if "day" in words or "month" in words:
        words = words.replace("month", "m").replace("day", "d")
    letters = re.sub(r"[^dm]", "", re.split(r"[hH]|[ T](?=[hH%iI])", words)[0])
    if letters.startswith("d"):
        return "dmy"
    return "mdy" if letters.startswith("m") else None
