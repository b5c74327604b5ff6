// Events and closures in words.

import { h } from "./dom.js";
import { t } from "./format.js";

/** Fill a list with events of {kind, what, since, until}; hide its frame where there are none. */
export function showEvents(frame, list, events, clock) {
  frame.hidden = !events?.length;
  list.replaceChildren(...(events ?? []).map((event) => h("li", {}, event.what, h("span", { className: "quiet", textContent: inWords(event, clock) }))));
}

function inWords(event, clock) {
  const since = clock.text(event.since, "date");
  // the end is excluded: one at midnight is the evening before
  const when = event.until ? t("events.until", { since, until: clock.text(Date.parse(event.until) - 1000, "date") }) : t("events.open", { since });
  return event.kind === "closure" ? t("events.closure", { when }) : when;
}
