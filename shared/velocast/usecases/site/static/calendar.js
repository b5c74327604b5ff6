// A counter's days: twelve months as a calendar, its records, this year beside the last.

import { $, h, oneStop, svg } from "./dom.js";
import { saveCsv } from "./download.js";
import { change, dateText, number, percent, t } from "./format.js";

const DAY = 86_400_000;
const MONTHS = 12;
const YEAR_DAYS = 364; // the same weekday
const COLUMNS = [[1000, 6], [560, 4], [0, 3]]; // months beside each other, by the width in px
const HEAD = 38, GAP = 16, LARGEST = 24; // px
const SHARES = [0.1, 0.3, 0.5, 0.7, 0.9]; // of the counted days, where the next colour starts
const PERIODS = ["latest", "before"];

export class Calendar {
  constructor(frame) {
    this.frame = frame;
    $("year-range").replaceChildren(...PERIODS.map((period) => {
      const button = h("button", { type: "button", textContent: t(`year.${period}`), data: { period } });
      button.addEventListener("click", () => this.choosePeriod(period));
      return button;
    }));
    oneStop($("year-range"));
    $("days-csv").addEventListener("click", () => this.save());
    new ResizeObserver(() => this.draw()).observe(frame);
  }

  /** Show the days of a counter. days: null when there are none. */
  show({ counter, file: { days } }) {
    Object.assign(this, { counter, days });
    $("days-card").hidden = !days;
    if (!days) return;
    this.first = Date.parse(days.from);
    this.whole = (i) => days.bikes[i] !== null && days.counted[i] >= days.whole;
    const sorted = days.bikes.filter((_, i) => this.whole(i)).sort((a, b) => a - b);
    this.bounds = [...new Set(SHARES.map((share) => neat(sorted[Math.floor(share * sorted.length)] ?? 0)))].filter((bound) => bound > 0);
    this.chosen = days.bikes.findLastIndex((bikes) => bikes !== null);
    $("year-range").hidden = this.monthsOf("before").length === 0;
    this.showYear();
    this.showRecords();
    this.showLegend();
    this.choosePeriod(PERIODS[0]);
  }

  at(index) {
    return this.first + index * DAY;
  }

  index(iso) {
    return Math.round((Date.parse(iso) - this.first) / DAY);
  }

  long = (at) => dateText(at, { weekday: "long", day: "numeric", month: "long", year: "numeric" });

  short = (at) => dateText(at, { weekday: "short", day: "numeric", month: "short", year: "numeric" });

  // ---- words

  showYear() {
    const year = this.days.year_to_date, month = { day: "numeric", month: "long" };
    const from = dateText(Date.UTC(year.year, 0, 1), month), until = dateText(Date.parse(year.until), { ...month, year: "numeric" });
    $("year-to-date").textContent = t("year.bikes", { from, until, n: number(year.bikes), whole: number(year.whole), days: number(year.days) });
    const known = { days: number(year.compared), this: number(year.this), before: number(year.before), last: String(year.year - 1) };
    const compared = year.compared ? t("year.compared", { ...known, change: change(year.this, year.before, t("what.before", known)) }) : t("year.alone", known);
    const full = year.rebuilt, rebuilt = full && t("year.rebuilt", { days: number(full.compared), this: number(full.this), before: number(full.before), p: percent(full.estimated_share), change: change(full.this, full.before, t("what.before", known)) });
    $("year-compared").textContent = [compared, rebuilt].filter(Boolean).join(" ");
    $("year-note").textContent = t("year.note", { p: percent(this.days.whole / 100) });
  }

  showRecords() {
    const named = ({ date, bikes }) => t("record.day", { day: this.short(Date.parse(date)), n: number(bikes) });
    const [record, ...next] = this.days.busiest.map(named), { quietest } = this.days;
    const parts = [record && t("record.busiest", { day: record }), next.length && t("record.next", { days: next.join("; ") }), quietest && t("record.quietest", { day: named(quietest) })];
    $("records").textContent = parts.filter(Boolean).join(" ");
  }

  /** A day in words. */
  words(i) {
    const bikes = this.days.bikes[i], day = this.long(this.at(i));
    const estimated = this.days.estimated?.[i] ? t("day.estimated", { n: number(this.days.estimated[i]) }) : "";
    if (bikes === null) return [t("day.none", { day }), estimated].filter(Boolean).join("; ");
    const rank = this.days.busiest.findIndex(({ date }) => this.index(date) === i);
    const before = i - YEAR_DAYS;
    const more = [
      rank === 0 && t("day.record"),
      rank > 0 && t("day.top", { n: number(this.days.busiest.length) }),
      !this.whole(i) && t("day.part", { p: percent(this.days.counted[i] / 100) }),
      estimated,
      before >= 0 && this.whole(i) && this.whole(before) && change(bikes, this.days.bikes[before], t("what.weekday")),
    ];
    return [t("day.bikes", { day, n: number(bikes) }), ...more.filter(Boolean)].join("; ");
  }

  showLegend() {
    const bounds = [0, ...this.bounds];
    const items = [
      ...bounds.map((from, level) => [`l${level}`, level === bounds.length - 1 ? `${number(from)}+` : `${number(from)}–${number(bounds[level + 1] - 1)}`]),
      ["part", t("day.legend.part")], ["none", t("counted.none")], ["record", t("day.legend.record")],
    ];
    $("calendar-legend").replaceChildren(...items.map(([look, text]) => h("span", {}, h("i", { className: look }), text)));
  }

  // ---- the calendar

  /** The months of a period that have days: [first day's index, day after the last's index] each, in order. */
  monthsOf(period) {
    const last = new Date(this.at(this.days.bikes.length - 1));
    const skip = MONTHS * PERIODS.indexOf(period);
    return Array.from({ length: MONTHS }, (_, i) => {
      const month = last.getUTCMonth() - skip - MONTHS + 1 + i;
      const index = (n) => Math.round((Date.UTC(last.getUTCFullYear(), n, 1) - this.first) / DAY);
      return { from: index(month), until: index(month + 1) };
    }).filter(({ from, until }) => until > 0 && from < this.days.bikes.length);
  }

  choosePeriod(period) {
    this.period = period;
    this.months = this.monthsOf(period);
    for (const button of $("year-range").children) {
      button.setAttribute("aria-pressed", String(button.dataset.period === period));
      button.tabIndex = button.dataset.period === period ? 0 : -1;
    }
    const end = Math.min(this.months.at(-1).until, this.days.bikes.length) - 1;
    if (this.chosen < this.months[0].from || this.chosen > end) this.chosen = end;
    this.draw();
    this.table();
  }

  draw() {
    const width = this.frame.clientWidth;
    if (!this.days || !width) return;
    const focused = this.frame.contains(document.activeElement);
    const columns = COLUMNS.find(([from]) => width >= from)[1];
    const size = Math.min(LARGEST, Math.floor((width - GAP * (columns - 1)) / columns / 7));
    const wide = 7 * size + GAP, high = HEAD + 6 * size + GAP;
    this.cells = new Map();
    const blocks = this.months.map((month, n) => this.block(month, size, (n % columns) * wide, Math.floor(n / columns) * high));
    const height = Math.ceil(this.months.length / columns) * high;
    const drawing = svg("svg", { width: Math.min(columns, this.months.length) * wide, height, role: "img", "aria-label": t("calendar.label", { name: this.counter.name }), tabindex: "0" }, ...blocks);
    this.listen(drawing, size);
    this.frame.replaceChildren(drawing);
    this.choose(this.chosen);
    if (focused) drawing.focus();
  }

  /** A month: its name, the weekdays' letters, a square for each day. */
  block({ from, until }, size, left, top) {
    const start = this.at(from), shift = (new Date(start).getUTCDay() + 6) % 7; // Monday is 0
    const letters = Array.from({ length: 7 }, (_, i) => svg("text", { x: left + (i + 0.5) * size, y: top + HEAD - 5, "text-anchor": "middle", class: "letter" }, dateText(Date.UTC(2024, 0, 1 + i), { weekday: "narrow" })));
    const squares = Array.from({ length: until - from }, (_, n) => n).filter((n) => from + n >= 0 && from + n < this.days.bikes.length).map((n) => {
      const column = (shift + n) % 7, row = Math.floor((shift + n) / 7), i = from + n;
      const inset = this.whole(i) || this.days.bikes[i] === null ? 1 : size * 0.25;
      const place = { x: left + column * size, y: top + HEAD + row * size };
      const square = svg("rect", { x: place.x + inset, y: place.y + inset, width: size - 2 * inset, height: size - 2 * inset, rx: 2, class: this.look(i) });
      this.cells.set(i, { ...place, square });
      return square;
    });
    return svg("g", {}, svg("text", { x: left, y: top + 14, class: "month" }, dateText(start, { month: "short", year: "numeric" })), ...letters, ...squares);
  }

  look(i) {
    const bikes = this.days.bikes[i];
    if (bikes === null) return "none";
    const record = this.days.busiest.some(({ date }) => this.index(date) === i) ? " record" : "";
    return `l${this.bounds.filter((bound) => bikes >= bound).length}${record}`;
  }

  listen(drawing, size) {
    const under = (event) => [...this.cells].find(([, { x, y }]) => event.offsetX >= x && event.offsetX < x + size && event.offsetY >= y && event.offsetY < y + size)?.[0];
    for (const name of ["pointermove", "click"]) drawing.addEventListener(name, (event) => {
      const i = under(event);
      if (i !== undefined) this.choose(i);
    });
    drawing.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -7, ArrowDown: 7, Home: -Infinity, End: Infinity }[event.key];
      if (!step) return;
      event.preventDefault();
      const known = [...this.cells.keys()];
      this.choose(Math.min(Math.max(this.chosen + step, known[0]), known.at(-1)));
    });
  }

  choose(i) {
    this.cells.get(this.chosen)?.square.classList.remove("chosen");
    this.chosen = i;
    this.cells.get(i)?.square.classList.add("chosen");
    const words = this.words(i);
    if ($("day-words").textContent !== words) $("day-words").textContent = words;
  }

  // ---- the numbers

  table() {
    const head = ["month", "bikes", "days.whole"].map((name) => h("th", { scope: "col", textContent: t(name) }));
    $("months").tHead.rows[0].replaceChildren(...head);
    $("months").tBodies[0].replaceChildren(...this.months.map(({ from, until }) => {
      const shown = Array.from({ length: until - from }, (_, n) => from + n).filter((i) => i >= 0 && i < this.days.bikes.length);
      const bikes = shown.reduce((sum, i) => sum + (this.days.bikes[i] ?? 0), 0), whole = shown.filter((i) => this.whole(i)).length;
      return h("tr", {},
        h("th", { scope: "row", textContent: dateText(this.at(from), { month: "long", year: "numeric" }) }),
        h("td", { textContent: whole || bikes ? number(bikes) : "–" }),
        h("td", { textContent: t("of", { n: number(whole), all: number(until - from) }) }));
    }));
  }

  save() {
    const rows = this.days.bikes.map((bikes, i) => ({ date: new Date(this.at(i)).toISOString().slice(0, 10), bikes, percent_of_hours_counted: this.days.counted[i], estimated_bikes: this.days.estimated?.[i] ?? 0 }));
    saveCsv(`${this.counter.file}-days.csv`, ["date", "bikes", "percent_of_hours_counted", "estimated_bikes"], rows);
  }
}

/** A number with two digits that count. */
function neat(value) {
  const power = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(value, 1))) - 1);
  return Math.round(value / power) * power;
}
