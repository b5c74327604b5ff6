// Keeps what was read last, so that it stays readable without a connection: the page, and the data of its views.

const CACHE = "velocast-1";
const OWN = /^(index\.html)?$|^counter\/|^page\/|^data\//;
// Folders that are named by their content: a publication's data, a version of the page.
const FOR_EVER = /\/(?:data\/[0-9a-f]{16}|page\/[0-9a-f]{12})\//;
const MANIFEST = "data/manifest.json";

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { request } = event, scope = self.registration.scope, address = request.url.split(/[?#]/)[0];
  if (request.method === "GET" && address.startsWith(scope) && OWN.test(address.slice(scope.length))) event.respondWith(answer(event, address));
});

// A page that has been shown names what it has read: most of it before this worker ran, and its manifest, which must
// never name data that are not here.
self.addEventListener("message", (event) => {
  const { addresses, manifest } = event.data;
  event.waitUntil((async () => {
    const cache = await caches.open(CACHE);
    await Promise.all(addresses.map(async (address) => {
      if (!(await kept(cache, address))) await store(cache, address, await fetch(address));
    }));
    await cache.put(self.registration.scope + MANIFEST, new Response(JSON.stringify(manifest), { headers: { "X-Kept": "1" } }));
    const folder = (address) => FOR_EVER.exec(address)?.[0];
    const named = new Set(addresses.map(folder));
    for (const request of await cache.keys()) if (!named.has(folder(request.url))) await cache.delete(request);
  })());
});

const kept = (cache, address) => cache.match(address, { ignoreSearch: true, ignoreVary: true });

async function answer({ request }, address) {
  const cache = await caches.open(CACHE);
  const found = await kept(cache, address);
  if (found && FOR_EVER.test(address)) return found;
  try {
    const fresh = await fetch(request);
    if (!address.endsWith(MANIFEST)) await store(cache, address, fresh.clone());
    return fresh;
  } catch (problem) {
    if (found) return found;
    throw problem;
  }
}

/** Keep an answer, unless it is for one reader only. */
async function store(cache, address, fresh) {
  if (fresh.ok && !/private|no-store/.test(fresh.headers.get("Cache-Control") ?? "")) await cache.put(address, fresh);
}
