"""What became of the fault that the demo injected: when it was found and told, its hours, and its end.

All of it is read from what the system wrote: its audit table, its counts and the messages that people got.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import httpx

from velocast.adapters import google_clients
from velocast.adapters.channels.card import link
from velocast.core.datetimes import HOUR, parse_instant, rfc3339
from velocast_local.city.injected_fault import FAULT_DAY, InjectedFault
from velocast_local.demo import AuditReader, details_of

if TYPE_CHECKING:
    from google.cloud import bigquery

KIND = "dead"
_BEGUN, _OVER = "counters_out_of_order", "counters_work_again"
_HOURS = """
SELECT COUNT(*) AS hours, COUNTIF(c.quality IS NOT NULL) AS marked, COUNT(e.estimated_count) AS rebuilt,
  SUM(e.estimated_count) AS bikes
FROM `{project}.bike_traffic_raw.counts` AS c
LEFT JOIN `{project}.bike_traffic_raw.count_estimates` AS e
  ON e.counter_id = c.counter_id AND e.counted_at = c.counted_at
WHERE c.counter_id = @counter AND c.counted_at >= @since AND c.counted_at < @until
"""


class FaultStory:
    """Tells the story of one injected fault, day by day and as a whole.

    first_day: of the demo. stack: the contents of its stack.json. say: prints one line.
    """

    def __init__(
        self,
        fault: InjectedFault,
        first_day: date,
        stack: dict[str, Any],
        audit: AuditReader,
        say: Callable[[str], object],
    ) -> None:
        self._fault = fault
        self._first_day = first_day
        self._stack = stack
        self._audit = audit
        self._say = say
        self._told: dict[str, Any] = {"found_on_day": None, "closed_on_day": None}

    def begin_day(self, day: date) -> None:
        """Say what happens to the counter on this day, which the system does not know."""
        fault = self._fault
        if (day - self._first_day).days + 1 == FAULT_DAY:
            self._say(
                f"fault     today, at {fault.since:%H:%M}, the counter\n"
                f"          “{fault.counter_name}” dies:\n"
                f"          the city publishes zeros. Nobody tells the system."
            )
        if day == fault.until.date():
            self._say(f"fault     today, at {fault.until:%H:%M}, the counter works again.")

    def end_day(self, day: date) -> None:
        """Say what the system has found of it on this day."""
        if (day - self._first_day).days + 1 < FAULT_DAY:
            return
        before, now = self._told, self._findings()
        self._told = now
        if now["found_on_day"] != before["found_on_day"]:
            self._say(
                f"fault     found on day {now['found_on_day']}, "
                f"{now['hours_until_found']} hours after it began. A message names\n"
                "          the counter; its zeros are marked and not learned from."
            )
        if now["closed_on_day"] != before["closed_on_day"]:
            self._say(
                f"fault     over on day {now['closed_on_day']}: the counter counts as usual. "
                "A message says so,\n          and its counts are used again."
            )

    def collect(self) -> dict[str, Any]:
        """Return the whole story as JSON's types; what did not happen is null."""
        fault, project = self._fault, self._stack["project"]
        client = google_clients.bigquery_client(project, self._stack["location"])
        inbox = httpx.get(f"{self._stack['url']}/discord/messages", timeout=10).json()
        return {
            "counter_id": fault.counter_id,
            "counter_name": fault.counter_name,
            "kind": KIND,
            "since": fault.since.isoformat(),
            "until": fault.until.isoformat(),
            **self._findings(),
            **count_hours(client, project, fault),
            "messages": count_messages(fault, inbox["messages"]),
        }

    def _findings(self) -> dict[str, Any]:
        rows = self._audit.rows("event_type = 'INGESTION'")
        ingestions = ((row["as_of"], details_of(row).get("quality") or {}) for row in rows)
        return find_episode(self._fault, ingestions, self._first_day)


def find_episode(
    fault: InjectedFault, ingestions: Iterable[tuple[datetime, dict[str, Any]]], first_day: date
) -> dict[str, Any]:
    """Return when the fault was found and when its end, by the ingestions: instant and `QualityChanges`, in order.

    found_at, closed_at: RFC 3339; found_on_day, closed_on_day: days of the demo, from 1; hours_until_found: from the
    fault's beginning. All are null until it happens. An ingestion that judged nothing, as a sweep that finds nothing
    new, has no list of faults and says nothing of this one.
    """
    found = closed = None
    for as_of, quality in ingestions:
        if (faults := quality.get("faults")) is None:
            continue
        own = [each for each in faults if _is(fault, each)]
        if found is None and own:
            found = as_of
        elif found is not None and closed is None and not any(each["open"] for each in own):
            closed = as_of
    return {
        "found_at": found and rfc3339(found),
        "found_on_day": found and (found.date() - first_day).days + 1,
        "hours_until_found": found and round((found - fault.since) / HOUR),
        "closed_at": closed and rfc3339(closed),
        "closed_on_day": closed and (closed.date() - first_day).days + 1,
    }


def count_hours(client: bigquery.Client, project: str, fault: InjectedFault) -> dict[str, int]:
    """Return what is stored of the fault's hours: marked, rebuilt, the bikes of the rebuilt ones, and the true ones.

    Raises what the client raises.
    """
    query = client.query(_HOURS.format(project=project), job_config=_parameters(fault), timeout=60)
    (row,) = query.result(timeout=60)
    return {
        "hours": row["hours"],
        "hours_marked": row["marked"],
        "hours_rebuilt": row["rebuilt"],
        "bikes_rebuilt": round(row["bikes"] or 0),
        "bikes_hidden": fault.bikes,
    }


def count_messages(fault: InjectedFault, messages: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Return how many messages named the counter as faulty (found), its end (over), and any other fault (others).

    messages: as Discord stores them.
    """
    name = link(fault.counter_name, "")
    told = {"found": 0, "over": 0, "others": 0}
    for embed in (each for message in messages for each in message["embeds"]):
        event = embed.get("footer", {}).get("text", "").rpartition(" ")[2]
        if event not in (_BEGUN, _OVER):
            continue
        text = "\n".join(field["value"] for field in embed.get("fields", ()))
        alone = name in text and "\n" not in text
        told[("found" if event == _BEGUN else "over") if alone else "others"] += 1
    return told


def _is(fault: InjectedFault, episode: dict[str, Any]) -> bool:
    return (
        (episode["counter_id"], episode["kind"]) == (fault.counter_id, KIND)
        and parse_instant(episode["since"]) < fault.until
        and parse_instant(episode["until"]) > fault.since
    )


def _parameters(fault: InjectedFault) -> Any:
    from google.cloud import bigquery

    return bigquery.QueryJobConfig(
        query_parameters=[
            bigquery.ScalarQueryParameter("counter", "STRING", fault.counter_id),
            bigquery.ScalarQueryParameter("since", "TIMESTAMP", fault.since),
            bigquery.ScalarQueryParameter("until", "TIMESTAMP", fault.until),
        ]
    )
