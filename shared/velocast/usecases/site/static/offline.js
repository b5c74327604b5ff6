// What was shown is kept for times without a connection, by the worker sw.js.

import { ROOT, getKey } from "./data.js";

const SETTLED_MS = 1000; // a view's address and data are there
let soon;

/** Keep the shown view. What only the holder of a key may read is not kept, and a page within another keeps nothing. */
export function keepView(publication) {
  if (publication.kept || getKey() || !("serviceWorker" in navigator) || window !== window.top) return;
  clearTimeout(soon);
  soon = setTimeout(() => keep(publication.manifest).catch(() => {}), SETTLED_MS); // a browser that keeps nothing shows the page all the same
}

async function keep(manifest) {
  await navigator.serviceWorker.register(new URL("sw.js", ROOT));
  const { active } = await navigator.serviceWorker.ready;
  const parts = ["page/", manifest.folder].map((part) => ROOT.href + part);
  const read = performance.getEntriesByType("resource").map((entry) => entry.name).filter((name) => parts.some((part) => name.startsWith(part)));
  active.postMessage({ addresses: [...new Set([ROOT.href, location.origin + location.pathname, ...read])], manifest });
}
