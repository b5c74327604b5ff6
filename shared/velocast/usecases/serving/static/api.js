// The API key, calls to the API, and times in the city's time zone.

const STORED = "velocast-key";

/** Read a key from `#key=...`, store it for this tab, and remove it from the address bar. */
export function takeKeyFromAddress() {
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  if (!given) return;
  setKey(given);
  history.replaceState(null, "", location.pathname + location.search);
}

export const getKey = () => sessionStorage.getItem(STORED);
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

/** Call the API; `body` makes it a POST. Throws Problem. */
export async function call(path, body) {
  const headers = { "X-API-Key": getKey() ?? "" };
  if (body) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
  } catch {
    throw new Problem(0, "The service is unreachable. Trying again in 10 s.", 10);
  }
  if (answer.ok) return answer.json();
  const problem = await answer.json().catch(() => ({}));
  throw new Problem(answer.status, problem.detail ?? answer.statusText, Number(answer.headers.get("Retry-After")) || 0);
}

/** Formats instants in the city's time zone. */
export class CityClock {
  constructor(zone) {
    this.zone = zone;
    const format = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...options });
    this.formats = {
      full: format({ weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }),
      day: format({ weekday: "short", day: "numeric", month: "short" }),
      short: format({ weekday: "short", day: "numeric" }),
      date: format({ day: "numeric", month: "short", year: "numeric" }),
      hour: format({ hour: "2-digit", hourCycle: "h23" }),
    };
    this.parts = format({ year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  }

  text(instant, kind = "full") {
    return this.formats[kind].format(new Date(instant));
  }

  hour(instant) {
    return Number(this.formats.hour.format(new Date(instant)));
  }

  /** The value of a datetime-local field for an instant. */
  field(instant) {
    const p = Object.fromEntries(this.parts.formatToParts(new Date(instant)).map((x) => [x.type, x.value]));
    return `${p.year}-${p.month}-${p.day}T${p.hour}:${p.minute}`;
  }

  /** The instant of a datetime-local field, read in the city's time zone. */
  instant(field) {
    const asUtc = Date.parse(field + "Z");
    const offset = (at) => Date.parse(this.field(at) + "Z") - at;
    const first = asUtc - offset(asUtc);
    return new Date(asUtc - offset(first));
  }
}
