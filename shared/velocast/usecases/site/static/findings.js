// What is known of the city or a counter, in words: accuracy, events and closures, faults and health.

import { h } from "./dom.js";
import { number, percent, t } from "./format.js";

/** Sentences of {pairs, mae, bias, wape, coverage}, or that too little is known. */
export function accuracyInWords(accuracy) {
  if (!accuracy) return t("accuracy.none");
  const off = Math.abs(accuracy.bias);
  const bias = off < 0.1 * accuracy.mae ? "" : t(accuracy.bias > 0 ? "accuracy.bias.high" : "accuracy.bias.low", { b: number(off, 1) });
  const known = {
    mae: number(accuracy.mae, accuracy.mae < 10 ? 1 : 0),
    wape: accuracy.wape === undefined ? "–" : percent(accuracy.wape),
    coverage: percent(accuracy.coverage),
    pairs: number(accuracy.pairs),
  };
  return `${t("accuracy", known)} ${bias}`.trim();
}

/** Fill a list with events of {kind, what, since, until}; hide its frame where there are none. */
export function showEvents(frame, list, events, clock) {
  frame.hidden = !events?.length;
  list.replaceChildren(...(events ?? []).map((event) => h("li", {}, event.what, h("span", { className: "quiet", textContent: eventInWords(event, clock) }))));
}

function eventInWords(event, clock) {
  const since = clock.text(event.since, "date");
  // the end is excluded: one at midnight is the evening before
  const when = event.until ? t("events.until", { since, until: clock.text(Date.parse(event.until) - 1000, "date") }) : t("events.open", { since });
  return event.kind === "closure" ? t("events.closure", { when }) : when;
}

/** A finding of {kind, since, fault, share, old_name} in words. */
export function findingInWords(found, clock) {
  if (found.kind === "outside") return t("outside", { p: percent(found.share) });
  if (found.kind === "continues") return t("may.continue", { old: found.old_name, at: clock.text(found.since, "date") });
  if (found.kind === "fault") return t("fault.since", { fault: t(`fault.${found.fault}`), at: clock.text(found.since, "date") });
  return found.since ? t("silent", { at: clock.text(found.since, "date") }) : t("silent.always");
}

/** The health of a counter of {usable_share, wape} in words; nothing where it is not known. */
export function healthInWords(health) {
  if (!health) return "";
  const error = health.wape === null || health.wape === undefined ? "" : t("health.error", { p: percent(health.wape) });
  return [t("health.usable", { p: percent(health.usable_share) }), error].filter(Boolean).join("; ");
}
