// The page's data: a small manifest, files that never change, and the API where the page is answered by it.

const STORED = "velocast-key";

/** The address of the site, whichever page of it was opened. */
export const ROOT = new URL(document.documentElement.dataset.root || "./", location.href);
/** What a counter's address ends with: a file server needs a file's name. */
export const SUFFIX = document.documentElement.dataset.suffix ?? "";

/** Read a key from `#key=...`, store it for this tab, and remove it from the address bar. */
export function takeKeyFromAddress() {
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  if (!given) return;
  setKey(given);
  history.replaceState(null, "", location.pathname + location.search);
}

/** The key of this tab. A page within another may be forbidden to store anything: then there is none. */
export function getKey() {
  try {
    return sessionStorage.getItem(STORED);
  } catch {
    return null;
  }
}
export const setKey = (key) => sessionStorage.setItem(STORED, key);
export const forgetKey = () => sessionStorage.removeItem(STORED);

/** An error response: its status, the detail, and the seconds to wait (0 if not given). */
export class Problem extends Error {
  constructor(status, detail, wait) {
    super(detail);
    this.status = status;
    this.wait = wait;
  }
}

/** Fetch JSON from an address below ROOT; `body` makes it a POST. Throws Problem. */
export const call = async (path, body) => (await ask(path, body)).json();

async function ask(path, body) {
  const headers = {};
  if (getKey()) headers["X-API-Key"] = getKey();
  if (body) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(new URL(path, ROOT), { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
  } catch {
    throw new Problem(0, "", 10);
  }
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  throw new Problem(answer.status, problem.detail ?? `${answer.status} ${answer.statusText}`, Number(answer.headers.get("Retry-After")) || 0);
}

/** The data of one publication; files are fetched once. */
export class Publication {
  /** kept: there is no connection, and this is what was read last. */
  constructor(manifest, kept) {
    Object.assign(this, { manifest, kept, files: new Map() });
  }

  static async newest() {
    const answer = await ask("data/manifest.json");
    return new Publication(await answer.json(), answer.headers.has("X-Kept"));
  }

  file(name) {
    if (!this.files.has(name)) {
      const asked = call(this.manifest.folder + name);
      asked.catch(() => this.files.delete(name));
      this.files.set(name, asked);
    }
    return this.files.get(name);
  }
}
