// A counter's page: an hour in words, its chart over some range, how good its forecasts were, the numbers to take along.

import { Calendar } from "./calendar.js";
import { Chart } from "./chart.js";
import { $, h, oneStop } from "./dom.js";
import { saveCsv } from "./download.js";
import { offerLine } from "./embed.js";
import { accuracyInWords, findingInWords, healthInWords, showEvents } from "./findings.js";
import { againstUsual, change, growthInWords, list, number, percent, t } from "./format.js";

const HOUR = 3600_000;
const WEEK = 168 * HOUR;
const BEFORE = 48; // hours shown before the coming days
export const RANGES = ["days", "week", "past", "year", "typical"];
const COLUMNS = ["observed", "forecast", "lower", "upper", "typical", "earlier", "lastyear"];
// What explains counts, shown in the ranges that have dates, where it is known.
const AROUND = ["temperature", "rain", "events"];
// What the last week is compared with.
const BESIDE = ["earlier", "typical", "lastyear"];
const SHOWN = {
  days: ["observed", "forecast", "lower", "upper", "typical"],
  week: ["observed", "earlier", "typical"],
  past: ["observed", "forecast", "lower", "upper"],
  year: ["observed", "forecast", "lastyear"],
  typical: ["typical"],
};

export class CounterView {
  /** address: called when an hour or a range was chosen. */
  constructor(address) {
    this.address = address;
    this.chart = new Chart($("chart"), { describe: (row) => this.describe(row), pick: (at) => this.chooseHour(at) });
    $("range").replaceChildren(...RANGES.map((range) => {
      const button = h("button", { type: "button", textContent: t(`range.${range}`), data: { range } });
      button.addEventListener("click", () => this.chooseRange(range));
      return button;
    }));
    oneStop($("range"));
    this.calendar = new Calendar($("calendar"));
    $("embed-copy").addEventListener("click", () => this.copy("embed-copy", "embed.copy", $("embed-code").value));
    $("csv").addEventListener("click", () => this.save());
    $("copy").addEventListener("click", () => this.copy("copy", "link", location.href));
  }

  /** Show a counter. state: {counter, siblings, file, clock, hours, now, range, hour (instant or null)}. */
  show(state) {
    Object.assign(this, state);
    const instant = (text) => (text ? Date.parse(text) : Infinity);
    this.events = (this.file.events ?? []).map((event) => ({ ...event, since: instant(event.since), until: instant(event.until) }));
    this.byHour = this.joined();
    const compares = this.file.year_ago.some((count) => count !== null);
    $("range").querySelector("[data-range=year]").hidden = !compares;
    if (this.range === "year" && !compares) this.range = RANGES[0];
    this.calendar.show(this);
    $("counter-title").textContent = this.counter.name;
    const { last_counted_at: lastAt, last_count: last, basis } = this.file;
    const counted = lastAt ? t("last", { n: number(last), at: this.clock.text(lastAt) }) : t("last.none");
    const ended = (this.file.continues ?? []).map((c) => t("continues", { id: c.counter_id, at: this.clock.text(c.until, "date") }));
    const sum = this.file.sum_of?.length ? [t("sum.of", { counters: list(this.file.sum_of) })] : [];
    $("counter-facts").textContent = [counted, t("based", { basis: t(`basis.${basis}`) }), ...ended, ...sum].join(" ");
    $("siblings").hidden = this.siblings.length === 0;
    $("siblings").replaceChildren(t("same.place"), " ", ...this.siblings.flatMap((c, i) => [i ? ", " : "", h("a", { href: this.addressOf(c), textContent: c.name })]));
    $("good").textContent = accuracyInWords(this.file.accuracy);
    $("growth").textContent = growthInWords(this.file.growth);
    this.showHealth();
    this.showWeatherSource();
    showEvents($("counter-events-card"), $("counter-events"), this.file.events, this.clock);
    if (this.hour === null) {
      this.hour = this.hours(this.now);
      this.showHour();
    } else this.chooseHour(this.hour);
  }

  /** Where the weather is from, as its licence asks. */
  showWeatherSource() {
    const { weather } = this.city;
    if (!weather) return;
    const licence = t("licence", { name: weather.licence });
    $("weather-source").replaceChildren("· ", h("a", { href: weather.attribution_url, textContent: weather.attribution }), " · ", h("a", { href: weather.licence_url, textContent: licence }));
  }

  /** The counter's fault, and how much of its counts can be used. */
  showHealth() {
    const { fault, health } = this.file;
    const finding = fault ? findingInWords({ kind: "fault", fault: fault.kind, since: fault.since }, this.clock) : "";
    $("health").textContent = [finding, healthInWords(health)].filter(Boolean).join("; ");
  }

  /** All hours that are known of the counter, by instant. */
  joined() {
    const { file } = this, rows = new Map();
    const typical = (at) => file.typical_week?.[this.clock.weekHour(at)] ?? undefined;
    const from = Date.parse(file.recent_from);
    const value = (name, i) => file[name][i] ?? undefined;
    const lastyear = (at) => value("year_ago", Math.round((at - from) / HOUR));
    file.recent.forEach((count, i) => {
      const at = from + i * HOUR;
      rows.set(at, { at, observed: count ?? undefined, forecast: value("past_predicted", i), lower: value("past_lower", i), upper: value("past_upper", i), typical: typical(at), earlier: value("recent", i - 168), lastyear: lastyear(at) });
    });
    file.predicted.forEach((predicted, i) => {
      const at = this.hours(i), known = rows.get(at);
      rows.set(at, { at, observed: known?.observed, forecast: predicted, lower: file.lower[i], upper: file.upper[i], q25: file.q25?.[i], q75: file.q75?.[i], busy: file.busy?.[i], typical: typical(at), earlier: known?.earlier, lastyear: lastyear(at) });
    });
    for (const row of rows.values()) Object.assign(row, this.around(row.at));
    return rows;
  }

  /** Weather and events of an hour, as far as they are known. */
  around(at) {
    const { weather } = this.city, i = Math.round((at - this.hours(0)) / HOUR);
    const events = this.events.filter((event) => at >= event.since && at < event.until).map((event) => event.what);
    return { temperature: weather?.temperature_c[i] ?? undefined, rain: weather?.rain_mm[i] ?? undefined, events: events.length ? list(events) : undefined };
  }

  /** The columns of a range: its series, and what is known around them. */
  columns(rows) {
    return [...COLUMNS.filter((name) => SHOWN[this.range].includes(name)), ...AROUND.filter((name) => rows.some((row) => row[name] !== undefined))];
  }

  /** The rows of a range. */
  rows(range) {
    const now = this.hours(this.now);
    if (range === "typical") return this.week(now);
    const [first, last] = {
      days: [now - BEFORE * HOUR, Infinity],
      week: [now - WEEK, now],
      past: [now - 2 * WEEK, now],
      year: [now - WEEK, Infinity],
    }[range];
    return [...this.byHour.values()].filter((r) => r.at >= first && r.at < last).sort((a, b) => a.at - b.at);
  }

  /** The typical week from Monday 0 h, at the hours of the current week. */
  week(now) {
    const monday = now - this.clock.weekHour(now) * HOUR;
    return (this.file.typical_week ?? []).map((typical, i) => ({ at: monday + i * HOUR, typical: typical ?? undefined }));
  }

  chooseRange(range) {
    this.range = range;
    this.draw();
    this.address();
  }

  chooseHour(at) {
    this.hour = at;
    const inRange = this.rows(this.range).some((r) => r.at === at);
    if (!inRange) this.range = RANGES.find((range) => this.rows(range).some((r) => r.at === at)) ?? this.range;
    this.showHour();
  }

  showHour() {
    $("words").replaceChildren(...this.inWords(this.byHour.get(this.hour) ?? { at: this.hour }));
    this.draw();
    this.address();
  }

  draw() {
    for (const button of $("range").children) {
      button.setAttribute("aria-pressed", String(button.dataset.range === this.range));
      button.tabIndex = button.dataset.range === this.range ? 0 : -1;
    }
    const rows = this.rows(this.range).map((row) => this.only(row));
    this.chart.show({
      rows, clock: this.clock, chosen: this.hour, events: this.range === "typical" ? [] : this.events, dates: this.range !== "typical",
      start: this.range === "days" ? this.hours(this.now) : undefined,
      label: t("chart.label", { name: this.counter.name, range: t(`range.${this.range}`) }),
    });
    for (const item of document.querySelectorAll("#key-list li")) item.hidden = !this.columns(rows).includes(item.dataset.series);
    $("weather-source").hidden = !rows.some((row) => row.temperature !== undefined);
    $("range-words").textContent = this.range === "week" ? this.weekInWords() : "";
    this.table(rows);
    offerLine(this.counter);
  }

  /** The last week beside others, each time over the hours that are known of both. */
  weekInWords() {
    const rows = this.rows("week"), counted = rows.filter((r) => Number.isFinite(r.observed));
    const sum = (some, name) => some.reduce((total, row) => total + row[name], 0);
    const compared = BESIDE.flatMap((name) => {
      const both = counted.filter((r) => Number.isFinite(r[name]));
      return both.length ? [change(sum(both, "observed"), sum(both, name), t(`what.${name}`))] : [];
    });
    const words = t("week.sum", { n: number(sum(counted, "observed")), hours: number(counted.length), all: number(rows.length) });
    return compared.length ? `${words} ${t("week.compared", { list: list(compared) })}` : words;
  }

  /** A row with what the range shows. Forecasts of hours that have passed are shown in a range of their own. */
  only(row) {
    const passed = row.at < this.hours(0) && (this.range === "days" || this.range === "year");
    const shown = passed ? ["observed", this.range === "days" ? "typical" : "lastyear"] : SHOWN[this.range];
    return { at: row.at, busy: row.busy, ...Object.fromEntries([...shown, ...AROUND].map((name) => [name, row[name]])) };
  }

  /** The hour as a headline and its explanation. */
  inWords(row) {
    const when = t("at.hour", { day: this.clock.text(row.at, "long"), span: this.clock.span(row.at) });
    const bounds = Number.isFinite(row.forecast) ? { n: number(row.forecast), lower: number(row.lower), upper: number(row.upper) } : null;
    const parts = [];
    if (Number.isFinite(row.observed)) parts.push(t("counted.words", { n: number(row.observed) }));
    if (bounds) parts.push(t(Number.isFinite(row.observed) ? "forecast.was" : "in.words", bounds));
    if (!parts.length) parts.push(t("counted.none"));
    const more = [];
    if (Number.isFinite(row.typical)) more.push(t("in.words.usual", { usual: againstUsual(row.observed ?? row.forecast, row.typical), n: number(row.typical) }));
    if (Number.isFinite(row.q25) && !Number.isFinite(row.observed)) more.push(t("middle.half", { lower: number(row.q25), upper: number(row.q75) }));
    if (Number.isFinite(row.busy)) more.push(t("busy.chance", { p: percent(row.busy) }));
    return [h("span", { className: "quiet", textContent: when }), h("strong", { textContent: parts.join("; ") }), h("span", { className: "quiet", textContent: more.join("; ") })];
  }

  describe(row) {
    const lines = [this.range === "typical" ? `${this.clock.text(row.at, "weekday")} ${this.clock.text(row.at, "time")}` : this.clock.text(row.at)];
    if (Number.isFinite(row.observed)) lines.push(`${t("observed")} ${number(row.observed)}`);
    else if (row.at < this.hours(0) && this.range !== "typical") lines.push(t("counted.none"));
    if (Number.isFinite(row.forecast)) lines.push(`${t("forecast")} ${number(row.forecast)} (${number(row.lower)}–${number(row.upper)})`);
    for (const name of BESIDE) if (Number.isFinite(row[name])) lines.push(`${t(name)} ${number(row[name])}`);
    if (Number.isFinite(row.temperature)) lines.push([`${number(row.temperature)} °C`, row.rain > 0 ? t("rain.amount", { n: number(row.rain, 1) }) : ""].filter(Boolean).join(", "));
    if (row.events) lines.push(row.events);
    return lines.join("\n");
  }

  table(rows) {
    const columns = this.columns(rows);
    const value = (name, row) => (name === "events" ? row.events ?? "" : Number.isFinite(row[name]) ? number(row[name], AROUND.includes(name) ? 1 : 0) : "–");
    $("table").tHead.rows[0].replaceChildren(h("th", { scope: "col", textContent: t("hour") }), ...columns.map((name) => h("th", { scope: "col", textContent: t(name) })));
    const body = () => $("table").tBodies[0].replaceChildren(...rows.map((row) => h("tr", {},
      h("th", { scope: "row", textContent: this.range === "typical" ? `${this.clock.text(row.at, "weekday")} ${this.clock.text(row.at, "time")}` : this.clock.text(row.at) }),
      ...columns.map((name) => h("td", { textContent: value(name, row) })))));
    body();
  }

  /** What is shown, as a file. */
  save() {
    const shown = this.rows(this.range).map((row) => this.only(row)), columns = ["at", ...this.columns(shown)];
    const rows = shown.map((row) => ({ ...row, at: new Date(row.at).toISOString().replace(".000", "") }));
    saveCsv(`${this.counter.file}-${this.range}.csv`, columns, rows);
  }

  async copy(button, label, text) {
    await navigator.clipboard.writeText(text);
    $(button).textContent = t("link.copied");
    setTimeout(() => ($(button).textContent = t(label)), 2000);
  }
}
