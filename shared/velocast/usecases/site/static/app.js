// The page: loads the newest publication, shows the city or a counter as the address says, and keeps the address true.

import { Publication, ROOT, SUFFIX, forgetKey, getKey, setKey, takeKeyFromAddress } from "./data.js";
import { $, h } from "./dom.js";
import { EMBEDDED, reduce } from "./embed.js";
import { CityClock, number, readersLanguage, say, speak, t } from "./format.js";

const HOUR = 3600_000;
const REFRESH_MS = 60_000;
const VIEWS = { city: "city-view", counter: "counter-view" };

const state = { view: null };
let cityView, counterView, hand, retry, words;
let turn = 0; // counts what the reader asked for: an answer to anything but the last is not shown

// ---- the address: which counter, hour, range and colours

const addressOf = (counter) => new URL(`counter/${encodeURIComponent(counter.file)}${SUFFIX}`, ROOT).href;

function counterOfAddress() {
  const path = decodeURIComponent(location.pathname.slice(ROOT.pathname.length));
  return path.startsWith("counter/") ? path.slice("counter/".length).replace(/\.html$/, "") : null;
}

/** Write the shown hour and range into the address, in place. */
function keepAddress() {
  const query = new URLSearchParams();
  const asked = new URLSearchParams(location.search).get("lang");
  if (asked) query.set("lang", asked);
  if (EMBEDDED) query.set("embed", "1");
  const hour = state.view === "counter" ? counterView.hour : state.hours(cityView.hour);
  if (hour !== state.hours(state.now)) query.set("hour", state.clock.field(hour).slice(0, 13));
  if (state.view === "counter" && counterView.range !== "days") query.set("range", counterView.range);
  if (state.view === "city" && cityView.colour !== "usual") query.set("colour", cityView.colour);
  const text = query.toString();
  history.replaceState(null, "", location.pathname + (text ? `?${text}` : ""));
}

/** The instant of the address's hour, or null. */
function hourOfAddress() {
  const asked = new URLSearchParams(location.search).get("hour");
  const at = /^\d{4}-\d\d-\d\dT\d\d$/.test(asked ?? "") ? state.clock.instant(`${asked}:00`).getTime() : NaN;
  return Number.isFinite(at) ? at : null;
}

// ---- messages

/** Run `work`. An error of the data or the API is shown; then the key is asked for, or it is tried again. */
async function guarded(work, refused) {
  try {
    await work();
  } catch (problem) {
    if (problem.status === undefined) throw problem;
    if (refused && problem.status === 422) return refused(problem);
    if (problem.status === 401 || problem.status === 403) {
      askForKey();
      if (problem.status === 403 || getKey()) say(problem.message);
    } else say(problem.message || t("unreachable"));
    if (problem.status === 0 || problem.status === 429 || problem.status === 503) later(problem.wait || 10);
  }
}

function later(seconds) {
  clearTimeout(retry);
  retry = setTimeout(load, Math.min(seconds, 60) * 1000);
}

function askForKey() {
  forgetKey();
  for (const id of Object.values(VIEWS)) $(id).hidden = true;
  $("key-form").hidden = false;
  $("key").focus();
}

// ---- loading and showing

/** Return the newest publication. What the view shows first is fetched at once, beside the words and the list of counters. */
async function newest() {
  const publication = await Publication.newest();
  const shown = counterOfAddress();
  for (const name of [shown ? `counters/${shown}.json` : "day-0.json", "city.json"]) publication.file(name).catch(() => {});
  return publication;
}

async function load() {
  clearTimeout(retry);
  await guarded(async () => {
    const asked = newest();
    asked.catch(() => {}); // it is awaited below
    await words;
    const publication = await asked;
    const city = await publication.file("city.json");
    $("key-form").hidden = true;
    await take(publication, city);
    await route();
  });
}

async function take(publication, city) {
  const { manifest } = publication;
  if (!readersLanguage() && manifest.city.language) await speak(manifest.city.language);
  const clock = new CityClock(manifest.city.time_zone);
  const first = Date.parse(city.first_hour);
  const hours = (index) => first + index * HOUR;
  const wall = manifest.clock === "replay" ? Date.parse(manifest.published_at) : Date.now();
  const inside = wall >= first && wall < hours(city.hours);
  const now = Math.floor(((inside ? wall : Date.parse(manifest.published_at)) - first) / HOUR);
  Object.assign(state, { publication, city, clock, hours, now: Math.min(Math.max(now, 0), Math.max(city.hours - 1, 0)) });
  const published = clock.text(manifest.published_at);
  if (publication.kept) say(t("offline", { at: published }), "note");
  else if (manifest.clock === "replay") say(t("replay", { date: clock.text(manifest.published_at, "longdate") }), "note");
  else say(inside ? null : t("stale", { at: published }));
  $("city").textContent = manifest.city.name;
  const fresh = [t("freshness", { n: number(city.counters.length), at: published, zone: manifest.city.time_zone })];
  if (Date.parse(manifest.origin_at) > first) fresh.push(t("freshness.within", { at: clock.text(manifest.origin_at, "time") }));
  $("freshness").textContent = fresh.join(" · ");
  $("change-key").hidden = !getKey();
  $("downloads").hidden = manifest.api;
  for (const link of document.querySelectorAll(".of-api")) link.hidden = !manifest.api;
  $("find-list").replaceChildren(...city.counters.map((c) => new Option(c.name)));
  showAttribution(manifest.city);
}

/** Show what the address says, once there are data; without them, `load` comes back here. */
async function route() {
  turn += 1;
  if (!state.city) return;
  const file = counterOfAddress();
  const counter = state.city.counters.find((c) => c.file === file);
  if (file && !counter) say(t("gone"));
  if (counter) await showCounter(counter);
  else await showCity();
}

/** Keep the view for times without a connection. The module is not needed for the first view, so it comes after it. */
async function keepView() {
  const { publication } = state;
  const offline = await import("./offline.js").catch(() => null); // the connection may be lost by then
  offline?.keepView(publication);
}

function turnTo(view) {
  const turned = state.view !== null && state.view !== view;
  state.view = view;
  for (const [name, id] of Object.entries(VIEWS)) $(id).hidden = name !== view;
  document.body.classList.add("ready");
  keepView();
  if (turned) window.scrollTo(0, 0);
}

async function showCity() {
  const mine = turn;
  // Each view is loaded when it is shown for the first time.
  const { CityView } = await import("./city.js");
  if (mine !== turn) return;
  const fresh = cityView?.publication !== state.publication;
  cityView ??= new CityView(openCounter, () => state.view === "city" && keepAddress());
  document.title = `Velocast ${state.publication.manifest.city.name}`;
  const asked = hourOfAddress();
  const index = asked === null ? state.now : Math.round((asked - state.hours(0)) / HOUR);
  const colour = new URLSearchParams(location.search).get("colour");
  turnTo("city");
  if (fresh) cityView.show({ ...state, addressOf });
  if (colour === "bikes") cityView.chooseColour(colour);
  await cityView.chooseHour(index >= 0 && index < state.city.hours ? index : state.now);
  if (fresh) afterwards();
}

/** What is not needed for the first view: streets, and the form. */
function afterwards() {
  const start = async () => {
    const { manifest } = state.publication;
    if (manifest.city.map_tiles) cityView.map.showStreets(manifest.city.map_tiles);
    if (!manifest.api) return;
    hand ??= new (await import("./hand.js")).HandForm(guarded);
    hand.show({ counters: state.city.counters, clock: state.clock, area: manifest.city.bounding_box, start: state.hours(state.now) + HOUR, zone: manifest.city.time_zone });
    $("hand-card").hidden = false;
  };
  requestAnimationFrame(() => setTimeout(() => guarded(start)));
}

async function showCounter(counter) {
  const mine = turn;
  const [{ CounterView, RANGES }, file] = await Promise.all([import("./counter.js"), state.publication.file(`counters/${counter.file}.json`)]);
  if (mine !== turn) return;
  counterView ??= new CounterView(() => state.view === "counter" && keepAddress());
  const query = new URLSearchParams(location.search);
  const range = RANGES.includes(query.get("range")) ? query.get("range") : RANGES[0];
  const together = (c) => c.site && c.site.id === counter.site?.id;
  const near = (c) => c !== counter && (together(c) || c.latitude !== null && Math.abs(c.latitude - counter.latitude) < 5e-5 && Math.abs(c.longitude - counter.longitude) < 5e-5);
  document.title = `${counter.name} · Velocast ${state.publication.manifest.city.name}`;
  if (EMBEDDED) reduce(addressOf(counter));
  turnTo("counter");
  counterView.show({ ...state, counter, file, range, hour: hourOfAddress(), siblings: state.city.counters.filter(near), addressOf });
}

function openCounter(counter) {
  const hour = cityView?.hour !== undefined && cityView.hour !== state.now ? `?hour=${state.clock.field(state.hours(cityView.hour)).slice(0, 13)}` : "";
  go(addressOf(counter) + hour);
}

function go(address) {
  history.pushState(null, "", address);
  guarded(route);
}

function showAttribution(city) {
  const link = (text, address) => (/^https?:/.test(address ?? "") ? h("a", { href: address, textContent: text }) : text);
  const parts = [];
  if (city.attribution) parts.push(link(city.attribution, city.attribution_url));
  if (city.licence) parts.push(link(t("licence", { name: city.licence }), city.licence_url));
  if (city.map_tiles) parts.push(link(city.map_tiles.attribution, city.map_tiles.attribution_url));
  $("attribution").replaceChildren(...parts.flatMap((part, i) => (i ? [" · ", part] : [part])));
  $("attribution").hidden = !parts.length; // counts of nobody's: nothing is claimed
}

// ---- start

function listen() {
  $("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    setKey($("key").value.trim());
    $("key").value = "";
    say(null);
    load();
  });
  $("change-key").addEventListener("click", askForKey);
  for (const link of document.querySelectorAll("a[data-home]")) {
    link.href = ROOT.href;
    link.addEventListener("click", (event) => {
      event.preventDefault();
      go(ROOT.href);
    });
  }
  $("find").addEventListener("change", () => {
    if (!state.city) return;
    const wanted = $("find").value.trim().toLowerCase();
    const found = state.city.counters.find((c) => c.name.toLowerCase() === wanted) ?? state.city.counters.find((c) => c.name.toLowerCase().includes(wanted));
    $("find-none").hidden = Boolean(found) || !wanted;
    if (found && wanted) {
      $("find").value = "";
      openCounter(found);
    }
  });
  window.addEventListener("popstate", () => guarded(route));
  window.addEventListener("hashchange", () => {
    takeKeyFromAddress();
    if (getKey()) load();
  });
  setInterval(() => {
    if (!document.hidden && state.publication) guarded(refresh);
  }, REFRESH_MS);
}

/** Look for a newer publication, and show it if there is one. */
async function refresh() {
  const newest = await Publication.newest();
  const { manifest, kept } = state.publication;
  if (newest.manifest.folder !== manifest.folder || newest.kept !== kept) await load();
}

// The address changes without a load; what is relative to it must not.
for (const node of document.querySelectorAll("a[href], link[href]:not([rel=modulepreload])")) node.setAttribute("href", node.href);
takeKeyFromAddress();
words = speak(readersLanguage());
listen();
load();
