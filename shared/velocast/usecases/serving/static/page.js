// The dashboard: fetches forecasts with this tab's API key and shows them on the map, the chart and the cards.

import { CityClock, call, forgetKey, getKey, setKey, takeKeyFromAddress } from "./api.js";
import { Chart } from "./chart.js";
import { CounterList } from "./list.js";
import { CounterMap, LEVELS, isPlaced } from "./map.js";

const OBSERVED_HOURS = 96;
const FORECAST_HOURS = 120;
const REFRESH_MS = 60_000;
const SLIDE_MS = 150;
const BASIS = {
  model: "the model in use",
  similar_days: "the mean of similar days",
  former_place: "counts at the counter's former position",
  typical_week: "the counter's typical week",
  neighbours: "nearby counters",
  city_profile: "the city's weekly profile",
};
const METRICS = { r2: "R²", rmse: "RMSE", mae: "MAE", skill: "Skill", coverage: "Coverage", balanced_accuracy: "Balanced accuracy" };

const $ = (id) => document.getElementById(id);
const state = { counters: [], hours: [], chosen: null, atHours: new Map(), published: null };
const map = new CounterMap($("map"), $("map-tip"), $("scale-bar"), $("scale-text"), choose);
const unplaced = new CounterList($("unplaced"), $("unplaced-note"), $("unplaced-list"), choose);
const chart = new Chart($("chart"), new CityClock("UTC"));
let retry;

// ---- messages

function say(text) {
  $("message").textContent = text ?? "";
  $("message").hidden = !text;
}

/** Run `work`. An API error is shown as a message; then ask for the key again, or retry later, where that helps. */
async function guarded(work) {
  try {
    await work();
  } catch (problem) {
    if (problem.status === undefined) throw problem;
    say(problem.message);
    if (problem.status === 401 || problem.status === 403) askForKey();
    else if (problem.status === 0 || problem.status === 429 || problem.status === 503) later(problem.wait || 10);
  }
}

function later(seconds) {
  clearTimeout(retry);
  retry = setTimeout(load, Math.min(seconds, 60) * 1000);
}

function askForKey() {
  forgetKey();
  $("main").hidden = true;
  $("change-key").hidden = true;
  $("key-form").hidden = false;
  $("key").focus();
}

// ---- loading

async function load() {
  clearTimeout(retry);
  if (!getKey()) return askForKey();
  $("key-form").hidden = true;
  await guarded(async () => {
    const [list, now] = await Promise.all([call("v1/counters"), call("v1/forecast")]);
    $("main").hidden = false;
    $("change-key").hidden = false;
    showCity(list, now);
    say(list.stale ? `These forecasts are out of date: they were published on ${state.clock.text(list.published_at)} and cover the days after that.` : null);
    showHour(now);
    await choose(state.chosen ?? now.forecasts.reduce((a, b) => (b.predicted_count > a.predicted_count ? b : a), now.forecasts[0])?.counter_id);
  });
}

function showCity(list, now) {
  const news = state.published !== list.published_at;
  Object.assign(state, { counters: list.counters, hours: list.hours, clock: new CityClock(list.time_zone), published: list.published_at });
  document.title = `Velocast ${list.city}`;
  $("city").textContent = list.city;
  $("freshness").textContent = `${list.counters.length} counters · forecast from ${state.clock.text(list.origin_at, "day")}, published on ${state.clock.text(list.published_at)} (${list.time_zone})`;
  $("hand-zone").textContent = `(${list.time_zone})`;
  showAttribution(list);
  showChampion(list.champion);
  if (!news) return;
  state.atHours.clear();
  map.show(list.counters);
  $("map-frame").hidden = !list.counters.some(isPlaced);
  unplaced.show(list.counters.filter((c) => !isPlaced(c)), list.counters.length);
  fillPlaces(list.counters);
  $("hour").max = String(list.hours.length - 1);
  const current = list.hours.findIndex((at) => Date.parse(at) === Date.parse(now.at));
  $("hour").value = String(Math.max(0, current));
  if (!$("hand-at").value) $("hand-at").value = state.clock.field(Date.parse(now.at) + 3600_000);
}

function fillPlaces(counters) {
  const named = counters.map((c) => [c.counter_name ?? c.counter_id, c.counter_id]).sort((a, b) => a[0].localeCompare(b[0]));
  for (const id of ["counter", "hand-counter"]) {
    const before = $(id).value;
    $(id).replaceChildren(...named.map(([name, value]) => new Option(name, value)));
    if (before) $(id).value = before;
  }
}

function showAttribution(list) {
  const parts = [];
  if (list.attribution) {
    const link = document.createElement("a");
    link.textContent = list.attribution;
    if (/^https?:/.test(list.attribution_url ?? "")) link.href = list.attribution_url;
    parts.push(link);
  }
  if (list.licence) parts.push(`${parts.length ? " · " : ""}Licence: ${list.licence}`);
  $("attribution").replaceChildren(...parts);
  $("attribution").hidden = !parts.length; // counts of nobody's: nothing is claimed
}

// ---- the map

function showHour(answer) {
  const text = state.clock.text(answer.at);
  state.atHours.set(Date.parse(answer.at), answer);
  $("map-hour").textContent = text;
  $("hour").setAttribute("aria-valuetext", text);
  const forecasts = new Map(answer.forecasts.map((f) => [f.counter_id, f.predicted_count]));
  map.colour(forecasts, text);
  unplaced.colour(forecasts);
}

let sliding;
function slide() {
  const at = state.hours[Number($("hour").value)];
  $("map-hour").textContent = state.clock.text(at);
  clearTimeout(sliding);
  const known = state.atHours.get(Date.parse(at));
  if (known) return showHour(known);
  sliding = setTimeout(() => guarded(async () => showHour(await call(`v1/forecast?at=${encodeURIComponent(at)}`))), SLIDE_MS);
}

function showLegend() {
  const bounds = [0, ...LEVELS];
  $("legend").replaceChildren(...bounds.map((from, level) => {
    const item = document.createElement("span"), dot = document.createElement("i");
    dot.className = `l${level}`;
    item.append(dot, level === bounds.length - 1 ? `${from}+` : `${from}–${bounds[level + 1] - 1}`);
    return item;
  }), "bikes/h");
}

// ---- one counter

async function choose(id) {
  if (!id) return;
  state.chosen = id;
  $("counter").value = id;
  $("hand-counter").value = id;
  map.select(id);
  unplaced.select(id);
  await guarded(async () => {
    const answer = await call(`v1/counters/${encodeURIComponent(id)}/forecast?hours=${FORECAST_HOURS}&observed=${OBSERVED_HOURS}`);
    if (state.chosen !== id) return; // another counter was chosen in the meantime
    showCounter(answer);
  });
}

function showCounter(answer) {
  const { counter, forecast } = answer;
  $("counter-title").textContent = counter.counter_name ?? counter.counter_id;
  const last = counter.last_counted_at ? `Last count: ${Math.round(counter.last_count)} on ${state.clock.text(counter.last_counted_at)}. ` : "No counts yet. ";
  const bases = [...new Set(forecast.map((f) => BASIS[f.basis] ?? f.basis))];
  $("counter-facts").textContent = `${last}Forecast based on ${bases.join(", then ")}.`;
  chart.show(answer, state.clock);
  const cell = (text) => Object.assign(document.createElement("td"), { textContent: text });
  $("table").tBodies[0].replaceChildren(...forecast.map((f) => {
    const row = document.createElement("tr");
    const busy = f.busy_probability === null ? "–" : `${Math.round(f.busy_probability * 100)} %`;
    row.append(cell(state.clock.text(f.at)), cell(Math.round(f.predicted_count)), cell(`${Math.round(f.lower)}–${Math.round(f.upper)}`), cell(busy), cell(f.basis.replace("_", " ")));
    return row;
  }));
}

// ---- the champion

function showChampion(champion) {
  if (!champion) {
    $("champion").replaceChildren(Object.assign(document.createElement("p"), {
      className: "quiet", textContent: "No model yet. Until the first model is trained and promoted, forecasts are means of similar days.",
    }));
    return;
  }
  const known = Object.entries(METRICS).filter(([name]) => Number.isFinite(champion.metrics[name]));
  const facts = [
    ["Version", `${champion.version} (${champion.kind})`],
    ...known.map(([name, label]) => [label, champion.metrics[name].toFixed(name === "rmse" || name === "mae" ? 1 : 3)]),
    ["Trained on", `${state.clock.text(champion.trained_from, "date")} – ${state.clock.text(champion.trained_until, "date")}`, "wide"],
    ["Promoted", state.clock.text(champion.published_at), "wide"],
    ["Run", champion.run_id, "wide"],
  ];
  const list = Object.assign(document.createElement("dl"), { className: "facts" });
  list.append(...facts.map(([name, value, wide]) => {
    const item = Object.assign(document.createElement("div"), { className: wide ?? "" });
    item.append(Object.assign(document.createElement("dt"), { textContent: name }), Object.assign(document.createElement("dd"), { textContent: value }));
    return item;
  }));
  $("champion").replaceChildren(list);
}

// ---- a single forecast

function choosePlaceKind() {
  const position = $("hand-place").value === "position";
  $("hand-counter-label").hidden = position;
  for (const label of document.querySelectorAll(".of-position")) label.hidden = !position;
  $("hand-latitude").required = $("hand-longitude").required = position;
  const counter = state.counters.find((c) => c.counter_id === state.chosen);
  if (position && counter && !$("hand-latitude").value) {
    $("hand-latitude").value = counter.latitude ?? "";
    $("hand-longitude").value = counter.longitude ?? "";
  }
}

async function forecastByHand(event) {
  event.preventDefault();
  const at = state.clock.instant($("hand-at").value).toISOString();
  const place = $("hand-place").value === "position"
    ? { latitude: Number($("hand-latitude").value), longitude: Number($("hand-longitude").value) }
    : { counter_id: $("hand-counter").value };
  const task = $("hand-task").value;
  await guarded(async () => {
    const answer = await call("v1/predict", { records: [{ ...place, at }], task });
    showPrediction(answer.predictions[0], task);
  });
}

function showPrediction(p, task) {
  const count = `${Math.round(p.predicted_count)} bikes`;
  const chance = p.busy_probability === null ? "unknown" : `${Math.round(p.busy_probability * 100)} %`;
  const main = task === "affluence" ? (p.busy === null ? "Unknown" : p.busy ? "Busy" : "Not busy") : count;
  const rest = task === "affluence" ? ` (probability ${chance}); about ${count},` : ",";
  $("hand-answer").replaceChildren(
    Object.assign(document.createElement("strong"), { textContent: main }),
    `${rest} 90 % interval ${Math.round(p.lower)} to ${Math.round(p.upper)}, ${state.clock.text(p.at)}. Based on ${BASIS[p.basis] ?? p.basis}.`,
  );
}

// ---- start

takeKeyFromAddress();
showLegend();
$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  setKey($("key").value.trim());
  $("key").value = "";
  say(null);
  load();
});
$("change-key").addEventListener("click", askForKey);
$("counter").addEventListener("change", () => choose($("counter").value));
$("hour").addEventListener("input", slide);
$("zoom-in").addEventListener("click", () => map.zoom(1 / 1.5));
$("zoom-out").addEventListener("click", () => map.zoom(1.5));
$("zoom-fit").addEventListener("click", () => map.fit());
$("hand-place").addEventListener("change", choosePlaceKind);
$("hand").addEventListener("submit", forecastByHand);
window.addEventListener("hashchange", () => {
  takeKeyFromAddress();
  load();
});
setInterval(() => {
  if (!document.hidden && getKey() && !$("main").hidden) refresh();
}, REFRESH_MS);
load();

/** Check for newer forecasts, and reload only if there are any. */
function refresh() {
  guarded(async () => {
    const answer = await call("v1/champion");
    if (answer.published_at !== state.published) await load();
  });
}
