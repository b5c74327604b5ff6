// Chart of one counter's hours: counted, forecast with its 90 % interval, usual. A cursor goes from hour to hour.

import { h, svg } from "./dom.js";
import { number, t } from "./format.js";

const MARGIN = { top: 22, right: 12, bottom: 34, left: 48 };
const HEIGHT = 345;
const HOUR = 3600_000;
const RAIN_PX = 30; // the height of the heaviest rain, or of HEAVY_MM
const HEAVY_MM = 4;
const LINES = ["typical", "earlier", "lastyear", "observed", "forecast"];

export class Chart {
  constructor(frame, { describe, pick }) {
    Object.assign(this, { frame, describe, pick, rows: [] });
    this.tip = h("div", { className: "tip", hidden: true });
    new ResizeObserver(() => this.draw()).observe(frame);
  }

  /** rows: [{at, observed, forecast, lower, upper, typical, earlier, lastyear}], one an hour, in order, with temperature and rain where known. start: first hour to come. events: [{what, kind, since, until}], instants. */
  show({ rows, clock, start, chosen, label, dates = true, events = [] }) {
    Object.assign(this, { rows, clock, start, chosen, label, dates, events });
    this.draw();
  }

  draw() {
    const width = this.frame.clientWidth;
    if (!this.rows.length || !width) return;
    const focused = this.frame.contains(document.activeElement);
    const values = this.rows.flatMap((r) => [r.observed, r.upper, r.typical, r.earlier, r.lastyear]).filter(Number.isFinite);
    const step = niceStep(Math.max(...values, 5) / 5);
    const top = Math.ceil(Math.max(...values, 5) / step) * step;
    const first = this.rows[0].at, last = this.rows.at(-1).at;
    this.x = (at) => MARGIN.left + ((at - first) / (last - first || 1)) * (width - MARGIN.left - MARGIN.right);
    this.y = (value) => HEIGHT - MARGIN.bottom - (value / top) * (HEIGHT - MARGIN.top - MARGIN.bottom);
    const drawing = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, height: HEIGHT, role: "img", "aria-label": this.label, tabindex: "0" });
    drawing.append(...this.valueAxis(width, step, top), ...this.timeAxis(width), ...this.bandsOfEvents(), ...this.rain(), ...this.series(), ...this.origin(width), ...this.mark());
    this.cursor = drawing.appendChild(svg("g", { visibility: "hidden" }));
    this.listen(drawing, first, last, width);
    this.frame.replaceChildren(drawing, this.tip);
    if (focused) drawing.focus();
  }

  valueAxis(width, step, top) {
    const nodes = [];
    for (let value = 0; value <= top; value += step) {
      nodes.push(svg("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: this.y(value), y2: this.y(value), class: value ? "rule" : "axis" }));
      nodes.push(svg("text", { x: MARGIN.left - 7, y: this.y(value) + 4, "text-anchor": "end" }, number(value)));
    }
    nodes.push(svg("text", { x: 2, y: 12 }, t("unit")));
    return nodes;
  }

  timeAxis(width) {
    const days = this.rows.filter((r) => this.clock.hour(r.at) === 0);
    const room = (width - MARGIN.left) / Math.max(1, days.length);
    const every = Math.ceil(50 / room);
    return days.flatMap(({ at }, i) => {
      const line = svg("line", { x1: this.x(at), x2: this.x(at), y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom, class: "day" });
      const middle = this.x(at + 12 * HOUR);
      if (i % every || middle > width - MARGIN.right - 12) return [line];
      const name = svg("text", { x: middle, y: HEIGHT - MARGIN.bottom + 18, "text-anchor": "middle" }, this.clock.text(at, this.dates ? "short" : "weekday"));
      const degrees = this.degrees(at);
      return degrees ? [line, name, svg("text", { x: middle, y: HEIGHT - 4, "text-anchor": "middle", class: "degrees" }, degrees)] : [line, name];
    });
  }

  /** The coldest and the warmest hour of the day that begins at an instant. */
  degrees(at) {
    const known = this.rows.filter((r) => r.at >= at && r.at < at + 24 * HOUR).map((r) => r.temperature).filter(Number.isFinite);
    return known.length ? `${number(Math.min(...known))}–${number(Math.max(...known))}°` : "";
  }

  /** Rain, as small bars that stand on the axis. */
  rain() {
    const wet = this.rows.filter((r) => r.rain > 0);
    const most = Math.max(HEAVY_MM, ...wet.map((r) => r.rain));
    const foot = HEIGHT - MARGIN.bottom, wide = this.rows.length > 1 ? this.x(this.rows[1].at) - this.x(this.rows[0].at) : 2;
    return wet.map((r) => {
      const high = Math.max(2, (RAIN_PX * r.rain) / most);
      return svg("rect", { class: "rain", x: this.x(r.at) - wide / 2, width: wide, y: foot - high, height: high });
    });
  }

  /** Events and closures, each as a band over its hours. */
  bandsOfEvents() {
    const first = this.rows[0].at, last = this.rows.at(-1).at;
    return this.events.filter((e) => e.since <= last && e.until > first).map((event) => {
      const from = this.x(Math.max(event.since, first)), until = this.x(Math.min(event.until, last));
      return svg("rect", { class: `event ${event.kind}`, x: from, width: Math.max(until - from, 2), y: MARGIN.top, height: HEIGHT - MARGIN.top - MARGIN.bottom }, svg("title", {}, event.what));
    });
  }

  series() {
    return [
      ...this.bands().map((d) => svg("path", { class: "band", d })),
      ...LINES.filter((name) => this.rows.some((r) => Number.isFinite(r[name]))).map((name) => svg("path", { class: `line ${name}`, d: this.path(name) })),
    ];
  }

  /** The outline of the interval, one for each unbroken stretch of hours. */
  bands() {
    const stretches = [[]];
    for (const row of this.rows) {
      if (Number.isFinite(row.upper)) stretches.at(-1).push(row);
      else if (stretches.at(-1).length) stretches.push([]);
    }
    return stretches.filter((s) => s.length).map((stretch) => {
      const outline = [...stretch.map((r) => [r.at, r.upper]), ...stretch.toReversed().map((r) => [r.at, r.lower])];
      return `M${outline.map(([at, v]) => `${this.x(at).toFixed(1)},${this.y(v).toFixed(1)}`).join("L")}Z`;
    });
  }

  /** A line with gaps at hours without a value. */
  path(name) {
    let pen = "M";
    return this.rows.map((r) => {
      if (!Number.isFinite(r[name])) {
        pen = "M";
        return "";
      }
      const point = `${pen}${this.x(r.at).toFixed(1)},${this.y(r[name]).toFixed(1)}`;
      pen = "L";
      return point;
    }).join("");
  }

  origin(width) {
    if (!Number.isFinite(this.start) || this.start <= this.rows[0].at || this.start > this.rows.at(-1).at) return [];
    const x = this.x(this.start), left = x > width - 150;
    return [
      svg("line", { x1: x, x2: x, y1: MARGIN.top - 6, y2: HEIGHT - MARGIN.bottom, class: "origin" }),
      svg("text", { x: left ? x - 5 : x + 5, y: 12, class: "origin-text", "text-anchor": left ? "end" : "start" }, t("origin")),
    ];
  }

  /** The chosen hour. */
  mark() {
    const row = this.rows.find((r) => r.at === this.chosen);
    const value = row?.forecast ?? row?.observed ?? row?.typical;
    return Number.isFinite(value) ? [svg("circle", { cx: this.x(row.at), cy: this.y(value), r: 6, class: "chosen" })] : [];
  }

  listen(drawing, first, last, width) {
    const nearest = (event) => {
      const share = (event.offsetX - MARGIN.left) / (width - MARGIN.left - MARGIN.right);
      const at = first + share * (last - first);
      return this.rows.reduce((best, r, i) => (Math.abs(r.at - at) < Math.abs(this.rows[best].at - at) ? i : best), 0);
    };
    drawing.addEventListener("pointermove", (event) => this.point(nearest(event)));
    drawing.addEventListener("click", (event) => this.pick(this.rows[nearest(event)].at));
    drawing.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && this.index !== undefined) this.pick(this.rows[this.index].at);
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const chosen = this.rows.findIndex((r) => r.at === (this.chosen ?? this.start));
      this.point(Math.min(Math.max((this.index ?? Math.max(chosen, 0)) + step, 0), this.rows.length - 1));
    });
    for (const event of ["pointerleave", "blur"]) drawing.addEventListener(event, () => this.unpoint());
  }

  point(index) {
    this.index = index;
    const row = this.rows[index], x = this.x(row.at);
    const value = row.forecast ?? row.observed ?? row.typical;
    this.cursor.replaceChildren(
      svg("line", { x1: x, x2: x, y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom, class: "cursor" }),
      ...(Number.isFinite(value) ? [svg("circle", { cx: x, cy: this.y(value), r: 4.5, class: "mark" })] : []),
    );
    this.cursor.setAttribute("visibility", "visible");
    this.tip.textContent = this.describe(row);
    this.tip.hidden = false;
    const wide = this.tip.offsetWidth;
    this.tip.style.left = `${Math.max(0, x + 12 + wide > this.frame.clientWidth ? x - 12 - wide : x + 12)}px`;
    this.tip.style.top = `${MARGIN.top + 4}px`;
  }

  unpoint() {
    this.index = undefined;
    this.tip.hidden = true;
    this.cursor?.setAttribute("visibility", "hidden");
  }
}

function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
}
