// Counters without a place on the map: a list of buttons, coloured by forecast as the dots are.

import { levelOf } from "./map.js";

export class CounterList {
  constructor(frame, note, list, choose) {
    Object.assign(this, { frame, note, list, choose });
    this.items = new Map();
  }

  /** Show the counters without a place. all: the number of the city's counters. */
  show(counters, all) {
    this.items.clear();
    this.list.replaceChildren(...counters.map((counter) => this.item(counter)));
    this.frame.hidden = !counters.length;
    this.note.textContent = counters.length === all
      ? "The city gives no places for its counters."
      : `Without a place on the map: ${counters.length} of ${all} counters`;
  }

  item(counter) {
    const name = counter.counter_name ?? counter.counter_id;
    const button = document.createElement("button"), dot = document.createElement("i"), bikes = document.createElement("span");
    button.type = "button";
    button.dataset.counter = counter.counter_id;
    button.addEventListener("click", () => this.choose(counter.counter_id));
    button.append(dot, Object.assign(document.createElement("span"), { className: "grow", textContent: name }), bikes);
    this.items.set(counter.counter_id, { button, dot, bikes });
    const item = document.createElement("li");
    item.append(button);
    return item;
  }

  /** Colour the items. forecasts: Map of counter id to bikes per hour. */
  colour(forecasts) {
    for (const [id, { dot, bikes }] of this.items) {
      const value = forecasts.get(id);
      dot.className = `l${value === undefined ? 0 : levelOf(value)}`;
      bikes.textContent = value === undefined ? "no forecast" : `${Math.round(value)}`;
    }
  }

  select(id) {
    for (const [other, { button }] of this.items) button.setAttribute("aria-pressed", String(other === id));
  }
}
