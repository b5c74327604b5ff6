// Files made in the browser from what is shown.

import { h } from "./dom.js";

/** CSV (RFC 4180) of rows, with a header of the columns' names; a missing value is empty. */
export function csvOf(columns, rows) {
  const cell = (value) => {
    const text = value === undefined || value === null ? "" : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns, ...rows.map((row) => columns.map((name) => row[name]))].map((cells) => cells.map(cell).join(",") + "\r\n").join("");
}

export function saveCsv(name, columns, rows) {
  const address = URL.createObjectURL(new Blob([csvOf(columns, rows)], { type: "text/csv" }));
  const link = h("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
