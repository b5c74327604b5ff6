// "My position": the reader's place on the map, and the sites nearest to it. The browser is asked on a click, and the
// place does not leave it.

import { $ } from "./dom.js";
import { number, t } from "./format.js";
import { distanceKm } from "./map.js";

const NEAREST = 4;
const PATIENCE_MS = 15_000;

/** Ask the browser where the reader is. map: CounterMap; item: makes the list's item of a counter and a text. */
export function showPosition(map, sites, item) {
  say("position.asked");
  navigator.geolocation.getCurrentPosition(
    ({ coords }) => showNearest(map, sites, item, coords),
    () => say("position.refused"),
    { timeout: PATIENCE_MS, maximumAge: 60_000 },
  );
}

function say(key, ...items) {
  $("near").hidden = false;
  $("near-note").textContent = t(key);
  $("near-list").replaceChildren(...items);
}

function showNearest(map, sites, item, { latitude, longitude }) {
  const away = (site) => distanceKm(site, { latitude, longitude });
  const nearest = sites.map((site) => [away(site), site]).sort(([a], [b]) => a - b).slice(0, NEAREST);
  say("position.nearest", ...nearest.flatMap(([km, site]) => site.counters.map((counter) => item(counter, inWords(km)))));
  map.showHere(latitude, longitude, nearest.map(([, site]) => site.id));
}

const inWords = (km) => (km < 1 ? `${number(Math.round(km * 100) * 10)} m` : `${number(km, km < 10 ? 1 : 0)} km`);
