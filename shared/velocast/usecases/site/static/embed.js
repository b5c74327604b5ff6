// A counter's chart within another page: the line of HTML that shows it, and how it looks there.

import { getKey } from "./data.js";
import { $ } from "./dom.js";
import { t } from "./format.js";

const HEIGHT = 700; // px

/** Whether this page is shown within another. */
export const EMBEDDED = new URLSearchParams(location.search).get("embed") === "1";

const escaped = (value) => String(value).replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");

/** The line of HTML that shows an address's chart on another page. */
export function lineFor(address, name) {
  const shown = new URL(address);
  shown.searchParams.delete("hour"); // the chart stays with the present
  shown.searchParams.set("embed", "1");
  const attributes = { src: shown.href, title: t("embed.title", { name }), width: "100%", height: HEIGHT, loading: "lazy", style: "border:0" };
  return `<iframe ${Object.entries(attributes).map(([key, value]) => `${key}="${escaped(value)}"`).join(" ")}></iframe>`;
}

/** Offer the line for a counter. Where reading needs a key, there is none. */
export function offerLine(counter) {
  $("embed").hidden = EMBEDDED || Boolean(getKey());
  $("embed-code").value = lineFor(location.href, counter.name);
}

/** Reduce the page to a chart, its words and its source. */
export function reduce(address) {
  document.body.classList.add("embedded");
  $("embed-source").href = address;
  $("embed-source").hidden = false;
}
