// Words, numbers and times in the reader's language and the city's time zone.

import { $ } from "./dom.js";

const LANGUAGES = ["en", "fr", "de"];
const HOUR = 3600_000;
let words = {};

export let language = "en";

/** The language of the address or of the reader, undefined when it is none of the page's. */
export function readersLanguage() {
  const asked = new URLSearchParams(location.search).get("lang");
  return [asked, ...navigator.languages.map((tag) => tag.slice(0, 2))].find((tag) => LANGUAGES.includes(tag));
}

/** Load the words of a language and put them into the page. */
export async function speak(wanted) {
  language = LANGUAGES.includes(wanted) ? wanted : "en";
  words = (await import(`./${language}.js`)).default;
  document.documentElement.lang = language;
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of document.querySelectorAll("[data-t-label]")) {
    node.setAttribute("aria-label", t(node.dataset.tLabel));
    if (node.placeholder) node.placeholder = t(node.dataset.tLabel);
  }
}

/** The text of a key, with {name} replaced by values. */
export function t(key, values = {}) {
  const text = words[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

// A reader whose language is not here reads English, with dates and numbers in Europe's order.
const regional = () => [navigator.languages.find((tag) => tag.startsWith(language)) ?? (language === "en" ? "en-GB" : language)];
export const number = (value, digits = 0) => new Intl.NumberFormat(regional(), { maximumFractionDigits: digits, minimumFractionDigits: digits }).format(value);
export const percent = (share, digits = 0) => new Intl.NumberFormat(regional(), { style: "percent", maximumFractionDigits: digits }).format(share);
export const list = (items) => new Intl.ListFormat(regional(), { type: "conjunction" }).format(items);

/** Formats instants in the city's time zone. */
export class CityClock {
  constructor(zone) {
    this.zone = zone;
    const format = (options) => new Intl.DateTimeFormat(regional(), { timeZone: zone, hourCycle: "h23", ...options });
    this.formats = {
      full: format({ weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }),
      long: format({ weekday: "long", day: "numeric", month: "long" }),
      day: format({ weekday: "short", day: "numeric", month: "short" }),
      short: format({ weekday: "short", day: "numeric" }),
      weekday: format({ weekday: "short" }),
      date: format({ day: "numeric", month: "short", year: "numeric" }),
      longdate: format({ day: "numeric", month: "long", year: "numeric" }),
      time: format({ hour: "2-digit", minute: "2-digit" }),
    };
    this.parts = new Intl.DateTimeFormat("en-GB", { timeZone: zone, hourCycle: "h23", weekday: "short", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit" });
  }

  text(instant, kind = "full") {
    return this.formats[kind].format(new Date(instant));
  }

  split(instant) {
    return Object.fromEntries(this.parts.formatToParts(new Date(instant)).map((x) => [x.type, x.value]));
  }

  hour(instant) {
    return Number(this.split(instant).hour);
  }

  /** The local hour of the week: 0 is Monday 0 h. */
  weekHour(instant) {
    const p = this.split(instant);
    return ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].indexOf(p.weekday) * 24 + Number(p.hour);
  }

  /** The value of a datetime-local field for an instant. */
  field(instant) {
    const p = this.split(instant);
    return `${p.year}-${p.month}-${p.day}T${p.hour}:${p.minute}`;
  }

  /** An hour as "17:00–18:00", or all hours up to a last one. */
  span(instant, last = instant) {
    return `${this.text(instant, "time")}–${this.text(last + HOUR, "time")}`;
  }

  /** The instant of a datetime-local field, read in the city's time zone. */
  instant(field) {
    const asUtc = Date.parse(field + "Z");
    const offset = (at) => Date.parse(this.field(at) + "Z") - at;
    const first = asUtc - offset(asUtc);
    return new Date(asUtc - offset(first));
  }
}

/** A share against what is usual, in words. */
export function againstUsual(expected, usual) {
  if (!(usual > 0)) return t("usual.unknown");
  const change = expected / usual - 1;
  if (Math.abs(change) < 0.05) return t("usual.same");
  return t(change > 0 ? "usual.more" : "usual.less", { p: percent(Math.abs(change)) });
}

/** A date without a time zone, given as the instant of its midnight in UTC. */
export const dateText = (at, options) => new Intl.DateTimeFormat(regional(), { timeZone: "UTC", ...options }).format(at);

/** A number against another in words: "12% more than usual". what: the words of the other. */
export function change(value, other, what) {
  if (!(other > 0)) return t("compared.unknown", { what });
  const share = value / other - 1;
  if (Math.abs(share) < 0.005) return t("compared.same", { what });
  return t(share > 0 ? "compared.more" : "compared.less", { p: percent(Math.abs(share)), what });
}

const signed = (share) => new Intl.NumberFormat(regional(), { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1, signDisplay: "exceptZero" }).format(share);

/** Growth of {now, days, change, low, high, claimed, raw, rebuilt, weather} in words; nothing where it is not known. */
export function growthInWords(growth) {
  if (!growth) return "";
  const now = dateText(Date.parse(growth.now), { day: "numeric", month: "long", year: "numeric" });
  const found = { days: number(growth.days), now, change: signed(growth.change), low: signed(growth.low), high: signed(growth.high) };
  const adjusted = t(growth.weather === null ? "growth.calendar" : "growth", found);
  const raw = t("growth.raw", { raw: signed(growth.raw), rebuilt: signed(growth.rebuilt) });
  return [adjusted, growth.claimed ? "" : t("growth.chance"), raw].filter(Boolean).join(" ");
}

/** Show a message above the page, or none. */
export function say(text, kind = "warning") {
  $("message").textContent = text ?? "";
  $("message").hidden = !text;
  $("message").dataset.kind = kind;
}
