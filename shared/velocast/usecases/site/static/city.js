// The city's page: today against usual, the coming days, the map of all sites, what needs a look, how good forecasts are.

import { $, h } from "./dom.js";
import { accuracyInWords, findingInWords, healthInWords, showEvents } from "./findings.js";
import { againstUsual, growthInWords, list, number, t } from "./format.js";
import { CounterMap, isPlaced, sitesOf } from "./map.js";

const BIKES = [5, 20, 50, 100, 200]; // bikes per hour where the next size and colour start
const LOOKS = [["much-less", -0.4], ["less", -0.15], ["same", 0.15], ["more", 0.4], ["much-more", Infinity]];
const FEW = 10; // bikes per hour under which a difference of some bikes is no news
const LISTED = 6;
const PLAY_MS = 700;
const BASIS_FACTS = [["r2", "champion.r2", 3], ["skill", "champion.skill", 2], ["rmse", "champion.rmse", 1], ["coverage", "champion.coverage", 2]];

const levelOf = (bikes) => BIKES.filter((from) => bikes >= from).length;

/** The look of a number of bikes against the usual number. */
export function lookOf(bikes, usual) {
  if (bikes === null || usual === null || usual === undefined) return "none";
  if (Math.max(bikes, usual) < FEW) return "same";
  const change = bikes / Math.max(usual, 1) - 1;
  return LOOKS.find(([, below]) => change < below)[0];
}

export class CityView {
  /** openCounter: called with a counter. address: called when hour or colour were chosen. */
  constructor(openCounter, address) {
    Object.assign(this, { openCounter, address, colour: "usual" });
    this.map = new CounterMap($("map"), $("map-tip"), $("scale-bar"), $("scale-text"), (site) => this.chooseSite(site));
    $("hour").addEventListener("input", () => this.chooseHour(Number($("hour").value)));
    $("colour").addEventListener("change", () => this.chooseColour($("colour").value));
    $("zoom-in").addEventListener("click", () => this.map.zoom(1 / 1.5));
    $("zoom-out").addEventListener("click", () => this.map.zoom(1.5));
    $("zoom-fit").addEventListener("click", () => this.map.fit());
    $("zoom-here").hidden = !navigator.geolocation;
    $("zoom-here").addEventListener("click", () => this.showPosition());
    $("play").addEventListener("click", () => this.play());
  }

  /** Show a publication. state: {city, clock, now (index of the hour), publication, hours}. */
  show(state) {
    Object.assign(this, state);
    this.sites = sitesOf(this.city.counters);
    this.places = new Map(this.city.counters.map((counter, index) => [counter.id, index]));
    $("hour").max = String(Math.max(0, this.city.hours - 1));
    $("map-frame").hidden = !this.sites.length;
    $("map-controls").hidden = !this.city.counters.length;
    this.map.show(this.sites);
    this.showToday();
    this.showDays();
    this.showBusiest();
    this.showConspicuous();
    showEvents($("events-card"), $("events"), this.city.events, this.clock);
    $("accuracy").textContent = accuracyInWords(this.city.accuracy);
    $("city-growth").textContent = growthInWords(this.city.growth);
    $("growth-card").hidden = !this.city.growth;
    this.showChampion();
    this.showUnplaced();
    this.showLegend();
  }

  // ---- today and the coming days

  today() {
    return Math.max(0, this.city.days.findIndex((day) => this.now >= day.from && this.now < day.until));
  }

  sums(day) {
    const sum = (name) => this.city.totals[name].slice(day.from, day.until).reduce((a, b) => a + b, 0);
    return { predicted: sum("predicted"), compared: sum("compared"), usual: sum("usual") };
  }

  dayText(day, kind) {
    return this.clock.text(this.hours(day.from) + 12 * 3600_000, kind);
  }

  showToday() {
    const day = this.city.days[this.today()];
    if (!day) return;
    const { predicted, compared, usual } = this.sums(day);
    $("today").textContent = t("today", { day: capital(this.dayText(day, "long")), n: number(rounded(predicted)), usual: againstUsual(compared, usual) });
    const hours = Array.from({ length: day.until - day.from }, (_, i) => day.from + i);
    const busiest = hours.sort((a, b) => this.city.totals.predicted[b] - this.city.totals.predicted[a]).slice(0, 3).sort((a, b) => a - b);
    $("busiest-hours").textContent = t("busiest.hours", { hours: list(runs(busiest).map(([first, last]) => this.clock.span(this.hours(first), this.hours(last)))) });
  }

  showDays() {
    const most = Math.max(...this.city.days.map((day) => this.sums(day).predicted), 1);
    $("days").tBodies[0].replaceChildren(...this.city.days.map((day) => {
      const { predicted, compared, usual } = this.sums(day);
      const bar = h("i", { className: "bar", aria: { hidden: "true" } });
      bar.style.width = `${(70 * predicted) / most}px`;
      return h("tr", {},
        h("th", { scope: "row", textContent: capital(this.dayText(day, "day")) }),
        h("td", { className: "bars" }, bar, number(rounded(predicted))),
        h("td", { textContent: againstUsual(compared, usual) }));
    }));
  }

  link(counter, ...more) {
    const link = h("a", { href: this.addressOf(counter), textContent: counter.name });
    link.addEventListener("click", (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      this.openCounter(counter);
    });
    return h("li", {}, link, ...more);
  }

  showBusiest() {
    const today = this.today();
    const ordered = this.city.counters.filter((c) => c.days.length && !c.sum_of.length).sort((a, b) => b.days[today] - a.days[today]);
    $("busiest").replaceChildren(...ordered.slice(0, LISTED).map((c) => this.link(c, h("span", { className: "quiet", textContent: number(c.days[today]) }))));
  }

  showConspicuous() {
    const found = this.city.conspicuous;
    const text = (f) => [findingInWords(f, this.clock), healthInWords(f.health)].filter(Boolean).join("; ");
    const items = found.slice(0, LISTED).map((f) => this.link(this.city.counters[this.places.get(f.counter_id)], h("span", { className: "quiet", textContent: text(f) })));
    if (found.length > LISTED) items.push(h("li", { className: "quiet", textContent: t("more", { n: number(found.length - LISTED) }) }));
    $("conspicuous").replaceChildren(...items);
    $("conspicuous-none").hidden = found.length > 0;
  }

  showChampion() {
    const champion = this.city.champion;
    $("champion-none").hidden = Boolean(champion);
    if (!champion) return $("champion").replaceChildren();
    // Scores of the newest weeks, which the model had not seen when it was judged.
    const score = (name) => champion.metrics[`current_${name}`] ?? champion.metrics[name];
    const known = BASIS_FACTS.filter(([name]) => Number.isFinite(score(name)));
    const facts = [
      ...known.map(([name, label, digits]) => [t(label), number(score(name), digits)]),
      [t("champion.kind"), `${champion.version} (${champion.kind})`, "wide"],
      [t("champion.trained"), `${this.clock.text(champion.trained_from, "date")} – ${this.clock.text(champion.trained_until, "date")}`, "wide"],
      [t("champion.promoted"), this.clock.text(champion.published_at, "date"), "wide"],
    ];
    $("champion").replaceChildren(...facts.map(([name, value, wide]) => h("div", { className: wide ?? "" }, h("dt", { textContent: name }), h("dd", { textContent: value }))));
  }

  // ---- the map

  chooseColour(colour) {
    this.colour = colour;
    $("colour").value = colour;
    this.showLegend();
    this.paint();
    if (this.hour !== undefined) this.address();
  }

  async chooseHour(index) {
    this.hour = index;
    $("hour").value = String(index);
    const text = this.clock.text(this.hours(index));
    $("map-hour").textContent = text;
    $("hour").setAttribute("aria-valuetext", text);
    this.address();
    const number = this.city.days.findIndex((day) => index >= day.from && index < day.until);
    if (number < 0) return;
    const day = await this.publication.file(`day-${number}.json`);
    if (this.hour !== index) return;
    const at = index - this.city.days[number].from;
    const value = (rows, counter) => rows[this.places.get(counter.id)]?.[at] ?? null;
    this.values = new Map(this.city.counters.map((c) => [c.id, [value(day.predicted, c), value(day.usual, c)]]));
    this.paint();
  }

  /** Few ask for it, so its module is loaded then. */
  async showPosition() {
    const { showPosition } = await import("./position.js");
    showPosition(this.map, this.sites, (counter, text) => this.link(counter, h("span", { className: "quiet", textContent: text })));
  }

  play() {
    const playing = this.playing === undefined;
    if (playing) this.playing = setInterval(() => this.chooseHour((this.hour + 1) % this.city.hours), PLAY_MS);
    else {
      clearInterval(this.playing);
      this.playing = undefined;
    }
    $("play").textContent = playing ? "❚❚" : "▶";
    $("play").setAttribute("aria-label", t(playing ? "pause" : "play"));
  }

  /** Size, colour and text of some counters together. */
  appearance(counters) {
    const known = counters.map((c) => this.values.get(c.id)).filter(([bikes]) => bikes !== null);
    if (!known.length) return { size: 0, look: "none", text: t("no.forecast") };
    const bikes = known.reduce((sum, [b]) => sum + b, 0);
    const usual = known.some(([, u]) => u === null) ? null : known.reduce((sum, [, u]) => sum + u, 0);
    const look = lookOf(bikes, usual);
    const size = levelOf(bikes);
    return { size, look: this.colour === "usual" ? look : `l${size}`, text: t("look.text", { n: number(bikes), usual: usual === null ? t("usual.unknown") : `${t(`look.${look}`)} (${number(usual)})` }) };
  }

  paint() {
    if (!this.values) return;
    this.map.colour(new Map(this.sites.map((site) => [site.id, this.appearance(site.counters)])));
    for (const item of document.querySelectorAll("#unplaced li")) {
      const { look, text } = this.appearance([this.city.counters[this.places.get(item.dataset.counter)]]);
      item.querySelector("i").className = look;
      item.querySelector(".quiet").textContent = text;
    }
  }

  showLegend() {
    const bounds = [0, ...BIKES];
    const items = this.colour === "usual"
      ? [...LOOKS.map(([look]) => [look, t(`look.${look}`)]), ["none", t("look.none")]]
      : bounds.map((from, level) => [`l${level}`, level === bounds.length - 1 ? `${from}+` : `${from}–${bounds[level + 1] - 1}`]);
    $("legend").replaceChildren(...items.map(([look, text]) => h("span", {}, h("i", { className: look }), text)));
  }

  /** Go to the counter of a site, or list the site's counters. */
  chooseSite(site) {
    if (site.counters.length === 1) return this.openCounter(site.counters[0]);
    $("site-name").textContent = t("map.places", { name: site.name });
    $("site-list").replaceChildren(...site.counters.map((c) => this.link(c, h("span", { className: "quiet", textContent: this.appearance([c]).text }))));
    $("site").hidden = false;
    $("site-list").querySelector("a").focus();
  }

  showUnplaced() {
    const counters = this.city.counters.filter((c) => !isPlaced(c));
    $("unplaced").hidden = !counters.length;
    $("unplaced-note").textContent = counters.length === this.city.counters.length
      ? t("unplaced.all") : t("unplaced.some", { n: number(counters.length), all: number(this.city.counters.length) });
    $("unplaced-list").replaceChildren(...counters.map((counter) => {
      const item = this.link(counter, h("span", { className: "quiet" }));
      item.dataset.counter = counter.id;
      item.prepend(h("i", {}));
      return item;
    }));
  }
}

const capital = (text) => text.charAt(0).toLocaleUpperCase() + text.slice(1);

/** First and last of each run of consecutive numbers: [8, 17, 18] are [[8, 8], [17, 18]]. */
function runs(numbers) {
  const found = [];
  for (const n of numbers) {
    if (found.at(-1)?.[1] === n - 1) found.at(-1)[1] = n;
    else found.push([n, n]);
  }
  return found;
}

/** A sum with as many digits as it deserves. */
function rounded(value) {
  const power = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(value, 1))) - 2);
  return Math.round(value / power) * power;
}
