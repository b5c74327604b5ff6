// What is wrong with a counter, and its health, in words.

import { percent, t } from "./format.js";

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
