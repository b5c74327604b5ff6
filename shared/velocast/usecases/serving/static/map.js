// Map of the counters, coloured by forecast. Zoom with wheel, pinch or buttons; pan by dragging.

const SVG = "http://www.w3.org/2000/svg";
const KM_PER_DEGREE = 111.195;
export const LEVELS = [5, 20, 50, 100, 200]; // bikes per hour where the next colour starts
const DOT_PX = [5, 6, 7, 8.5, 10, 11.5];
const SMALLEST_KM = 0.4;
const STRAY = 8; // multiples of the median distance from the centre

export const levelOf = (bikes) => LEVELS.filter((from) => bikes >= from).length;

export const isPlaced = (counter) => counter.latitude !== null && counter.longitude !== null;

/** Leave out counters so far away that showing them would squeeze all others together. */
function withoutStrays(dots) {
  const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
  const x = median(dots.map((d) => d.x)), y = median(dots.map((d) => d.y));
  const distances = dots.map((d) => Math.hypot(d.x - x, d.y - y));
  const limit = STRAY * Math.max(median(distances), SMALLEST_KM);
  return dots.filter((_, i) => distances[i] <= limit);
}

export class CounterMap {
  constructor(svg, tip, scaleBar, scaleText, choose) {
    Object.assign(this, { svg, tip, scaleBar, scaleText, choose });
    this.dots = new Map();
    this.pointers = new Map();
    this.moved = false;
    this.grid = svg.appendChild(document.createElementNS(SVG, "g"));
    this.layer = svg.appendChild(document.createElementNS(SVG, "g"));
    this.listen();
    new ResizeObserver(() => this.draw()).observe(svg);
  }

  show(counters) {
    const placed = counters.filter(isPlaced);
    if (!placed.length) return; // the list shows them
    const middle = placed.reduce((sum, c) => sum + c.latitude, 0) / placed.length;
    const perLongitude = KM_PER_DEGREE * Math.cos((middle * Math.PI) / 180);
    this.layer.replaceChildren();
    this.dots.clear();
    for (const counter of placed) this.add(counter, counter.longitude * perLongitude, -counter.latitude * KM_PER_DEGREE);
    const known = this.home !== undefined;
    this.home = this.around(withoutStrays([...this.dots.values()]));
    if (!known) this.fit();
  }

  add(counter, x, y) {
    const circle = document.createElementNS(SVG, "circle");
    circle.setAttribute("cx", x);
    circle.setAttribute("cy", y);
    circle.setAttribute("tabindex", "0");
    circle.setAttribute("role", "button");
    circle.dataset.counter = counter.counter_id;
    circle.addEventListener("click", () => this.moved || this.choose(counter.counter_id));
    circle.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      this.choose(counter.counter_id);
    });
    for (const event of ["pointerenter", "focus"]) circle.addEventListener(event, () => this.showTip(counter.counter_id));
    for (const event of ["pointerleave", "blur"]) circle.addEventListener(event, () => (this.tip.hidden = true));
    this.dots.set(counter.counter_id, { circle, x, y, name: counter.counter_name ?? counter.counter_id, level: 0, text: "" });
    this.layer.append(circle);
  }

  /** Colour the dots. forecasts: Map of counter id to bikes per hour. */
  colour(forecasts, hour) {
    for (const [id, dot] of this.dots) {
      const bikes = forecasts.get(id);
      dot.level = bikes === undefined ? 0 : levelOf(bikes);
      dot.text = bikes === undefined ? "no forecast" : `${Math.round(bikes)} bikes/h, ${hour}`;
      dot.circle.setAttribute("aria-label", `${dot.name}: ${dot.text}`);
    }
    // Busy counters are drawn last, on top of quiet ones. Moving a focused dot would take its focus away.
    if (!this.layer.contains(document.activeElement)) {
      const rank = (dot) => (dot.chosen ? Infinity : dot.level);
      const byLevel = [...this.dots.values()].sort((a, b) => rank(a) - rank(b) || 0);
      this.layer.append(...byLevel.map((dot) => dot.circle));
    }
    this.draw();
  }

  select(id) {
    for (const [other, dot] of this.dots) {
      dot.chosen = other === id;
      dot.circle.setAttribute("aria-pressed", String(dot.chosen));
    }
    this.draw();
  }

  around(dots) {
    const xs = dots.map((d) => d.x), ys = dots.map((d) => d.y);
    const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    return { x: (left + right) / 2, y: (top + bottom) / 2, wide: Math.max(right - left, 1), high: Math.max(bottom - top, 1) };
  }

  ratio() {
    return this.svg.clientHeight / this.svg.clientWidth || 0.92;
  }

  fit() {
    const width = Math.max(this.home.wide, this.home.high / this.ratio()) * 1.16;
    this.view = { x: this.home.x, y: this.home.y, width };
    this.draw();
  }

  /** Zoom by a factor, keeping the point under (px, py) in place; by default the centre. */
  zoom(factor, px = this.svg.clientWidth / 2, py = this.svg.clientHeight / 2) {
    if (!this.view) return;
    const width = Math.min(Math.max(this.view.width * factor, SMALLEST_KM), this.home.wide * 6 + 5);
    const shift = (this.view.width - width) / this.svg.clientWidth;
    this.view.x += (px - this.svg.clientWidth / 2) * shift;
    this.view.y += (py - this.svg.clientHeight / 2) * shift;
    this.view.width = width;
    this.draw();
  }

  draw() {
    if (!this.view || !this.svg.clientWidth) return;
    const { x, y, width } = this.view;
    const height = width * this.ratio();
    this.svg.setAttribute("viewBox", `${x - width / 2} ${y - height / 2} ${width} ${height}`);
    const kmPerPx = width / this.svg.clientWidth;
    for (const dot of this.dots.values()) {
      dot.circle.setAttribute("r", DOT_PX[dot.level] * kmPerPx * (dot.chosen ? 1.25 : 1));
      dot.circle.setAttribute("class", `dot l${dot.level}${dot.chosen ? " chosen" : ""}`);
    }
    this.drawScale(kmPerPx, x, y, width, height);
  }

  drawScale(kmPerPx, x, y, width, height) {
    const wanted = 90 * kmPerPx;
    const power = 10 ** Math.floor(Math.log10(wanted));
    const km = [5, 2, 1].map((n) => n * power).find((n) => n <= wanted);
    this.scaleBar.style.width = `${km / kmPerPx}px`;
    this.scaleText.textContent = km >= 1 ? `${km} km` : `${Math.round(km * 1000)} m`;
    const lines = [];
    for (let at = Math.ceil((x - width / 2) / km) * km; at < x + width / 2; at += km) lines.push([at, y - height / 2, at, y + height / 2]);
    for (let at = Math.ceil((y - height / 2) / km) * km; at < y + height / 2; at += km) lines.push([x - width / 2, at, x + width / 2, at]);
    this.grid.replaceChildren(...lines.map(([x1, y1, x2, y2]) => {
      const line = document.createElementNS(SVG, "line");
      for (const [name, value] of Object.entries({ x1, y1, x2, y2, class: "grid" })) line.setAttribute(name, value);
      return line;
    }));
  }

  showTip(id) {
    const dot = this.dots.get(id);
    const box = this.svg.getBoundingClientRect(), at = dot.circle.getBoundingClientRect();
    this.tip.textContent = `${dot.name}\n${dot.text}`;
    this.tip.hidden = false;
    const left = at.left - box.left + at.width + 6;
    this.tip.style.left = `${Math.max(4, Math.min(left, box.width - this.tip.offsetWidth - 4))}px`;
    this.tip.style.top = `${Math.max(4, at.top - box.top - this.tip.offsetHeight - 4)}px`;
  }

  listen() {
    const svg = this.svg;
    svg.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(event.deltaY > 0 ? 1.2 : 1 / 1.2, event.offsetX, event.offsetY);
    }, { passive: false });
    svg.addEventListener("pointerdown", (event) => {
      this.moved = false;
      this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    });
    window.addEventListener("pointermove", (event) => this.drag(event));
    for (const end of ["pointerup", "pointercancel"]) {
      window.addEventListener(end, (event) => {
        this.pointers.delete(event.pointerId);
        svg.classList.remove("dragged");
      });
    }
  }

  drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before || !this.view) return;
    const now = [event.clientX, event.clientY];
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    if (others.length === 1) {
      const distance = (at) => Math.hypot(at[0] - others[0][0], at[1] - others[0][1]) || 1;
      const box = this.svg.getBoundingClientRect();
      this.zoom(distance(before) / distance(now), others[0][0] - box.left, others[0][1] - box.top);
    } else {
      if (!this.moved && Math.hypot(now[0] - before[0], now[1] - before[1]) < 3) return;
      const kmPerPx = this.view.width / this.svg.clientWidth;
      this.view.x -= (now[0] - before[0]) * kmPerPx;
      this.view.y -= (now[1] - before[1]) * kmPerPx;
      this.draw();
    }
    this.moved = true;
    this.tip.hidden = true;
    this.svg.classList.add("dragged");
    this.pointers.set(event.pointerId, now);
  }
}
