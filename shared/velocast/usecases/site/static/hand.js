// A forecast for any place and hour, asked of the API.

import { call } from "./data.js";
import { $ } from "./dom.js";
import { number, percent, t } from "./format.js";

export class HandForm {
  /** guarded: runs the request and shows what goes wrong. */
  constructor(guarded) {
    this.guarded = guarded;
    $("hand-place").addEventListener("change", () => this.choosePlaceKind());
    $("hand").addEventListener("submit", (event) => this.ask(event));
  }

  show({ counters, clock, area, start, zone }) {
    Object.assign(this, { counters, clock });
    $("hand-zone").textContent = `(${zone})`;
    $("hand-counter").replaceChildren(...[...counters].sort((a, b) => a.name.localeCompare(b.name)).map((c) => new Option(c.name, c.id)));
    if (!$("hand-at").value) $("hand-at").value = clock.field(start);
    // What the API refuses anyway, said beside the field.
    if (area) {
      Object.assign($("hand-latitude"), { min: area.south, max: area.north });
      Object.assign($("hand-longitude"), { min: area.west, max: area.east });
    }
  }

  choosePlaceKind() {
    const position = $("hand-place").value === "position";
    $("hand-counter-label").hidden = position;
    for (const label of document.querySelectorAll(".of-position")) label.hidden = !position;
    for (const field of [$("hand-latitude"), $("hand-longitude")]) Object.assign(field, { required: position, disabled: !position });
    const counter = this.counters.find((c) => c.id === $("hand-counter").value);
    if (position && counter && !$("hand-latitude").value) {
      $("hand-latitude").value = counter.latitude ?? "";
      $("hand-longitude").value = counter.longitude ?? "";
    }
  }

  ask(event) {
    event.preventDefault();
    const at = this.clock.instant($("hand-at").value).toISOString();
    const place = $("hand-place").value === "position"
      ? { latitude: Number($("hand-latitude").value), longitude: Number($("hand-longitude").value) }
      : { counter_id: $("hand-counter").value };
    const task = $("hand-task").value;
    $("hand-answer").replaceChildren();
    this.guarded(async () => this.answer((await call("v1/predict", { records: [{ ...place, at }], task })).predictions[0], task), (problem) => ($("hand-answer").textContent = problem.message));
  }

  answer(p, task) {
    const headline = task === "count" ? `${number(p.predicted_count)} ${t("bikes").toLowerCase()}`
      : p.busy === null ? t("hand.unknown") : t(p.busy ? "hand.is.busy" : "hand.not.busy");
    const chance = task === "affluence" && p.busy_probability !== null ? ` ${t("busy.chance", { p: percent(p.busy_probability) })}.` : "";
    const means = task === "affluence" ? ` ${t("about.busy.text")}` : "";
    const strong = document.createElement("strong");
    strong.textContent = headline;
    const text = t("hand.answer", { at: this.clock.text(p.at), lower: number(p.lower), upper: number(p.upper), n: number(p.predicted_count), basis: t(`basis.${p.basis}`) });
    $("hand-answer").replaceChildren(strong, ` ${text}${chance}${means}`);
  }
}
