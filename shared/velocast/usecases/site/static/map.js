// Map of the counting sites over streets. Zoom with wheel, pinch or buttons; pan by dragging.

import { svg } from "./dom.js";
import { t } from "./format.js";

const EARTH_KM = 6371;
const DOT_PX = [5.5, 6, 7, 8.5, 10, 11.5];
const HERE_PX = 8;
const SMALLEST_KM = 0.4;
const STRAY = 8; // multiples of the median distance from the centre
const TILE_PX = 256;
const REACH_PX = 16; // a finger is wider than a dot
const TROUBLE = 4; // failed tiles without any that came: there are no streets

export const isPlaced = (counter) => counter.latitude !== null && counter.longitude !== null;

/** Counters of one site of the city's file, or else of one place, such as both directions of a street, as one each. */
export function sitesOf(counters) {
  const sites = new Map();
  for (const counter of counters.filter(isPlaced)) {
    const place = `${counter.latitude.toFixed(4)},${counter.longitude.toFixed(4)}`; // about ten metres
    const key = counter.site ? `site ${counter.site.id}` : place;
    sites.set(key, [...(sites.get(key) ?? []), counter]);
  }
  return [...sites.values()].map((members) => ({
    id: members[0].id, counters: members, latitude: members[0].latitude, longitude: members[0].longitude, name: members[0].site?.name ?? commonName(members.map((c) => c.name)),
  }));
}

/** What the names begin with in common, if that is most of them. */
function commonName(names) {
  if (names.length === 1) return names[0];
  let length = 0;
  while (length < names[0].length && names.every((name) => name[length] === names[0][length])) length += 1;
  const common = names[0].slice(0, length).replace(/[\s,:(/-]+$/, "");
  return common.length >= 4 ? common : names[0];
}

/** Kilometres between two places, along a great circle. */
export function distanceKm(one, other) {
  const [a, b, turned] = [one.latitude, other.latitude, one.longitude - other.longitude].map((degrees) => (degrees * Math.PI) / 180);
  const half = Math.sin((a - b) / 2) ** 2 + Math.cos(a) * Math.cos(b) * Math.sin(turned / 2) ** 2;
  return 2 * EARTH_KM * Math.asin(Math.sqrt(half));
}

/** Leave out sites so far away that showing them would squeeze all others together. */
function withoutStrays(dots) {
  const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
  const x = median(dots.map((d) => d.x)), y = median(dots.map((d) => d.y));
  const distances = dots.map((d) => Math.hypot(d.x - x, d.y - y));
  const limit = STRAY * Math.max(median(distances), SMALLEST_KM);
  return dots.filter((_, i) => distances[i] <= limit);
}

export class CounterMap {
  constructor(frame, tip, scaleBar, scaleText, choose) {
    Object.assign(this, { svg: frame, tip, scaleBar, scaleText, choose });
    this.dots = new Map();
    this.pointers = new Map();
    this.moved = false;
    this.streets = frame.appendChild(svg("g", { class: "streets", "aria-hidden": "true" }));
    this.grid = frame.appendChild(svg("g", {}));
    this.layer = frame.appendChild(svg("g", {}));
    this.images = new Map();
    this.listen();
    new ResizeObserver(() => this.draw()).observe(frame);
  }

  /** Web Mercator, scaled to kilometres at the city's latitude. */
  project(latitude, longitude) {
    const phi = (latitude * Math.PI) / 180;
    return [this.radius * ((longitude * Math.PI) / 180), -this.radius * Math.log(Math.tan(Math.PI / 4 + phi / 2))];
  }

  show(sites) {
    if (!sites.length) return; // the list shows them
    const middle = sites.reduce((sum, s) => sum + s.latitude, 0) / sites.length;
    this.radius = EARTH_KM * Math.cos((middle * Math.PI) / 180);
    this.layer.replaceChildren();
    this.dots.clear();
    for (const site of sites) this.add(site);
    const known = this.home !== undefined;
    this.home = this.around(withoutStrays([...this.dots.values()]));
    if (!known) this.fit();
  }

  /** Show streets from a tile server: {url with {z}, {x}, {y}; max_zoom}. */
  showStreets(tiles) {
    this.tiles = { ...tiles, failed: 0, came: 0 };
    this.draw();
  }

  add(site) {
    const [x, y] = this.project(site.latitude, site.longitude);
    const circle = svg("circle", { cx: x, cy: y, tabindex: "-1", role: "button", "aria-label": site.name });
    circle.dataset.site = site.id;
    circle.addEventListener("click", () => this.moved || this.choose(site));
    circle.addEventListener("keydown", (event) => this.key(event, site));
    for (const event of ["pointerenter", "focus"]) circle.addEventListener(event, () => this.showTip(site.id));
    for (const event of ["pointerleave", "blur"]) circle.addEventListener(event, () => (this.tip.hidden = true));
    this.dots.set(site.id, { circle, x, y, site, size: 0, look: "none", text: "" });
    this.layer.append(circle);
  }

  /** One stop for the keyboard: arrow keys go from site to site, to the nearest in their direction. */
  key(event, site) {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.choose(site);
    }
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
    if (!dx && !dy) return;
    event.preventDefault();
    const here = this.dots.get(site.id);
    const ahead = [...this.dots.values()].filter((d) => (d.x - here.x) * dx + (d.y - here.y) * dy > Math.abs((d.x - here.x) * dy) + Math.abs((d.y - here.y) * dx));
    const next = ahead.sort((a, b) => Math.hypot(a.x - here.x, a.y - here.y) - Math.hypot(b.x - here.x, b.y - here.y))[0];
    if (next) this.focusable(next).circle.focus();
  }

  focusable(dot) {
    for (const other of this.dots.values()) other.circle.setAttribute("tabindex", other === dot ? "0" : "-1");
    return dot;
  }

  /** Colour the dots. looks: site id to {size: 0 to 5, look: class name, text}. */
  colour(looks) {
    for (const [id, dot] of this.dots) {
      Object.assign(dot, looks.get(id));
      dot.circle.setAttribute("aria-label", `${dot.site.name}: ${dot.text}`);
    }
    // Busy sites are drawn last, on top of quiet ones. Moving a focused dot would take its focus away.
    if (!this.layer.contains(document.activeElement)) {
      const bySize = [...this.dots.values()].sort((a, b) => a.size - b.size);
      this.layer.append(...bySize.map((dot) => dot.circle));
      if (bySize.length) this.focusable(bySize.at(-1));
    }
    this.draw();
  }

  around(dots) {
    const xs = dots.map((d) => d.x), ys = dots.map((d) => d.y);
    const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    return { x: (left + right) / 2, y: (top + bottom) / 2, wide: Math.max(right - left, 1), high: Math.max(bottom - top, 1) };
  }

  ratio() {
    return this.svg.clientHeight / this.svg.clientWidth || 0.8;
  }

  fit() {
    const width = Math.max(this.home.wide, this.home.high / this.ratio()) * 1.16;
    this.view = { x: this.home.x, y: this.home.y, width };
    this.draw();
  }

  /** Mark the reader's place and show it with some sites; one too far from them is only said. */
  showHere(latitude, longitude, nearest) {
    const [x, y] = this.project(latitude, longitude);
    this.here?.remove();
    this.here = this.svg.appendChild(svg("circle", { cx: x, cy: y, class: "here", "aria-hidden": "true" }));
    const around = this.around([{ x, y }, ...nearest.map((id) => this.dots.get(id))]);
    const width = Math.max(around.wide, around.high / this.ratio(), SMALLEST_KM) * 1.3;
    if (width <= this.widest()) this.view = { x: around.x, y: around.y, width };
    this.draw();
  }

  widest() {
    return this.home.wide * 6 + 5;
  }

  /** Zoom by a factor, keeping the point under (px, py) in place; by default the centre. */
  zoom(factor, px = this.svg.clientWidth / 2, py = this.svg.clientHeight / 2) {
    if (!this.view) return;
    const width = Math.min(Math.max(this.view.width * factor, SMALLEST_KM), this.widest());
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
      dot.circle.setAttribute("r", Math.max(DOT_PX[dot.size], 5.5) * kmPerPx);
      dot.circle.setAttribute("class", `dot ${dot.look}`);
    }
    this.here?.setAttribute("r", HERE_PX * kmPerPx);
    this.drawScale(kmPerPx, x, y, width, height);
    this.drawStreets(kmPerPx, x, y, width, height);
  }

  drawStreets(kmPerPx, x, y, width, height) {
    const tiles = this.tiles;
    if (!tiles || (tiles.failed >= TROUBLE && !tiles.came)) return;
    const world = 2 * Math.PI * this.radius;
    const z = Math.max(0, Math.min(tiles.max_zoom ?? 19, Math.round(Math.log2(world / (kmPerPx * TILE_PX)))));
    const size = world / 2 ** z;
    const shown = new Map();
    for (let column = Math.floor((x - width / 2 + world / 2) / size); column * size - world / 2 < x + width / 2; column += 1) {
      for (let row = Math.floor((y - height / 2 + world / 2) / size); row * size - world / 2 < y + height / 2; row += 1) {
        const key = `${z}/${column}/${row}`;
        shown.set(key, this.images.get(key) ?? this.tile(z, column, row, size, world));
      }
    }
    this.images = shown;
    this.streets.replaceChildren(...shown.values());
  }

  tile(z, column, row, size, world) {
    const address = this.tiles.url.replace("{z}", z).replace("{x}", column).replace("{y}", row);
    // A little larger than its place, so that no seam shows.
    const image = svg("image", { href: address, x: column * size - world / 2, y: row * size - world / 2, width: size * 1.002, height: size * 1.002 });
    image.addEventListener("load", () => {
      this.tiles.came += 1;
      this.svg.classList.add("with-streets");
    });
    image.addEventListener("error", () => {
      this.tiles.failed += 1;
      image.remove();
    });
    return image;
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
    this.grid.replaceChildren(...lines.map(([x1, y1, x2, y2]) => svg("line", { x1, y1, x2, y2, class: "grid" })));
  }

  showTip(id) {
    const dot = this.dots.get(id);
    const box = this.svg.getBoundingClientRect(), at = dot.circle.getBoundingClientRect();
    const several = dot.site.counters.length;
    this.tip.textContent = [dot.site.name, dot.text, several > 1 ? t("map.directions", { n: several }) : ""].filter(Boolean).join("\n");
    this.tip.hidden = false;
    const left = at.left - box.left + at.width + 6;
    this.tip.style.left = `${Math.max(4, Math.min(left, box.width - this.tip.offsetWidth - 4))}px`;
    this.tip.style.top = `${Math.max(4, at.top - box.top - this.tip.offsetHeight - 4)}px`;
  }

  listen() {
    const frame = this.svg;
    frame.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(event.deltaY > 0 ? 1.2 : 1 / 1.2, event.offsetX, event.offsetY);
    }, { passive: false });
    frame.addEventListener("pointerdown", (event) => {
      this.moved = false;
      this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    });
    window.addEventListener("pointermove", (event) => this.drag(event));
    frame.addEventListener("click", (event) => {
      if (this.moved || event.target.closest("circle")) return;
      const near = this.nearest(event.clientX, event.clientY);
      if (near) this.choose(near.site);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      window.addEventListener(end, (event) => {
        this.pointers.delete(event.pointerId);
        frame.classList.remove("dragged");
      });
    }
  }

  /** The dot nearest to a point of the window, within reach of a finger. */
  nearest(x, y) {
    const away = ({ circle }) => {
      const box = circle.getBoundingClientRect();
      return Math.hypot(box.left + box.width / 2 - x, box.top + box.height / 2 - y);
    };
    const near = [...this.dots.values()].map((dot) => ({ site: dot.site, px: away(dot) })).sort((a, b) => a.px - b.px)[0];
    return near?.px <= REACH_PX ? near : null;
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
