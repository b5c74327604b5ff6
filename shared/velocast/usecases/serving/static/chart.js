// Chart of one counter: observed counts, then the forecast with its 90 % interval. A cursor shows each hour's values.

const SVG = "http://www.w3.org/2000/svg";
const MARGIN = { top: 22, right: 12, bottom: 34, left: 44 };
const HEIGHT = 345;
const HOUR = 3600_000;

function element(name, attributes, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

export class Chart {
  constructor(frame, clock) {
    Object.assign(this, { frame, clock, rows: [] });
    this.tip = document.createElement("div");
    this.tip.className = "tip";
    this.tip.hidden = true;
    new ResizeObserver(() => this.draw()).observe(frame);
  }

  show(answer, clock) {
    this.clock = clock;
    const rows = new Map();
    const row = (at) => rows.get(at) ?? rows.set(at, { at }).get(at);
    const expected = (f) => ({ forecast: f.predicted_count, lower: f.lower, upper: f.upper, basis: f.basis, busy: f.busy_probability });
    for (const o of answer.observed) {
      Object.assign(row(Date.parse(o.at)), { observed: o.bike_count, typical: o.typical_count }, o.forecast && expected(o.forecast));
    }
    for (const f of answer.forecast) Object.assign(row(Date.parse(f.at)), expected(f));
    this.rows = [...rows.values()].sort((a, b) => a.at - b.at);
    this.start = Date.parse(answer.forecast[0]?.at);
    this.label = `Bikes per hour at ${answer.counter.counter_name ?? answer.counter.counter_id}: observed counts, then the forecast with its 90 percent interval`;
    this.draw();
  }

  draw() {
    const width = this.frame.clientWidth;
    if (!this.rows.length || !width) return;
    const values = this.rows.flatMap((r) => [r.observed, r.upper, r.typical]).filter(Number.isFinite);
    const step = niceStep(Math.max(...values, 5) / 5);
    const top = Math.ceil(Math.max(...values, 5) / step) * step;
    const first = this.rows[0].at, last = this.rows.at(-1).at;
    this.x = (at) => MARGIN.left + ((at - first) / (last - first || 1)) * (width - MARGIN.left - MARGIN.right);
    this.y = (value) => HEIGHT - MARGIN.bottom - (value / top) * (HEIGHT - MARGIN.top - MARGIN.bottom);
    const svg = element("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, height: HEIGHT, role: "img", "aria-label": this.label, tabindex: "0" });
    svg.append(...this.valueAxis(width, step, top), ...this.timeAxis(width), ...this.series(), ...this.origin(width));
    this.cursor = svg.appendChild(element("g", { visibility: "hidden" }));
    this.listen(svg, first, last, width);
    this.frame.replaceChildren(svg, this.tip);
  }

  valueAxis(width, step, top) {
    const nodes = [];
    for (let value = 0; value <= top; value += step) {
      nodes.push(element("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: this.y(value), y2: this.y(value), class: value ? "rule" : "axis" }));
      nodes.push(element("text", { x: MARGIN.left - 7, y: this.y(value) + 4, "text-anchor": "end" }, String(value)));
    }
    nodes.push(element("text", { x: 2, y: 12 }, "bikes/h"));
    return nodes;
  }

  timeAxis(width) {
    const days = this.rows.filter((r) => this.clock.hour(r.at) === 0);
    const room = (width - MARGIN.left) / Math.max(1, days.length);
    const every = Math.ceil(46 / room);
    return days.flatMap(({ at }, i) => {
      const line = element("line", { x1: this.x(at), x2: this.x(at), y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom, class: "day" });
      const middle = this.x(at + 12 * HOUR);
      if (i % every || middle > width - MARGIN.right - 12) return [line];
      return [line, element("text", { x: middle, y: HEIGHT - MARGIN.bottom + 18, "text-anchor": "middle" }, this.clock.text(at, "short"))];
    });
  }

  series() {
    const band = this.rows.filter((r) => Number.isFinite(r.upper));
    const outline = [...band.map((r) => [r.at, r.upper]), ...band.toReversed().map((r) => [r.at, r.lower])];
    const path = (name) => element("path", { class: `line ${name}`, d: this.path(name) });
    return [
      element("path", { class: "band", d: outline.length ? `M${outline.map(([at, v]) => `${this.x(at).toFixed(1)},${this.y(v).toFixed(1)}`).join("L")}Z` : "" }),
      path("typical"), path("observed"), path("forecast"),
    ];
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
    if (!Number.isFinite(this.start) || this.start <= this.rows[0].at) return [];
    const x = this.x(this.start), left = x > width - 110;
    return [
      element("line", { x1: x, x2: x, y1: MARGIN.top - 6, y2: HEIGHT - MARGIN.bottom, class: "origin" }),
      element("text", { x: left ? x - 5 : x + 5, y: 12, class: "origin-text", "text-anchor": left ? "end" : "start" }, "next hours"),
    ];
  }

  listen(svg, first, last, width) {
    svg.addEventListener("pointermove", (event) => {
      const share = (event.offsetX - MARGIN.left) / (width - MARGIN.left - MARGIN.right);
      const at = first + share * (last - first);
      this.point(this.rows.reduce((best, r, i) => (Math.abs(r.at - at) < Math.abs(this.rows[best].at - at) ? i : best), 0));
    });
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const from = this.index ?? this.rows.findIndex((r) => r.at === this.start);
      this.point(Math.min(Math.max(from + step, 0), this.rows.length - 1));
    });
    for (const event of ["pointerleave", "blur"]) svg.addEventListener(event, () => this.unpoint());
  }

  point(index) {
    this.index = index;
    const row = this.rows[index], x = this.x(row.at);
    const value = row.forecast ?? row.observed ?? row.typical;
    this.cursor.replaceChildren(
      element("line", { x1: x, x2: x, y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom, class: "cursor" }),
      ...(Number.isFinite(value) ? [element("circle", { cx: x, cy: this.y(value), r: 4.5, class: "mark" })] : []),
    );
    this.cursor.setAttribute("visibility", "visible");
    this.tip.textContent = this.describe(row);
    this.tip.hidden = false;
    const wide = this.tip.offsetWidth;
    this.tip.style.left = `${x + 12 + wide > this.frame.clientWidth ? x - 12 - wide : x + 12}px`;
    this.tip.style.top = `${MARGIN.top + 4}px`;
  }

  unpoint() {
    this.index = undefined;
    this.tip.hidden = true;
    this.cursor?.setAttribute("visibility", "hidden");
  }

  describe(row) {
    const lines = [this.clock.text(row.at)];
    if (Number.isFinite(row.observed)) lines.push(`observed ${row.observed}`);
    if (row.observed === null && row.forecast === undefined) lines.push("no usable count");
    if (Number.isFinite(row.forecast)) lines.push(`forecast ${Math.round(row.forecast)} (${Math.round(row.lower)} to ${Math.round(row.upper)})`);
    if (Number.isFinite(row.busy)) lines.push(`busy ${Math.round(row.busy * 100)} %`);
    if (row.basis) lines.push(row.basis.replace("_", " "));
    if (Number.isFinite(row.typical)) lines.push(`typical ${Math.round(row.typical)}`);
    return lines.join("\n");
  }
}

function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
}
