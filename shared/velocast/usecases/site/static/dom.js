// Short names for what every view does with the document.

export const $ = (id) => document.getElementById(id);

/** Make an element. properties: DOM properties, or `data` and `aria` objects. children: nodes and texts. */
export function h(name, { data, aria, ...properties } = {}, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  for (const [key, value] of Object.entries(data ?? {})) node.dataset[key] = value;
  for (const [key, value] of Object.entries(aria ?? {})) node.setAttribute(`aria-${key}`, value);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const SVG = "http://www.w3.org/2000/svg";

/** Make an SVG element. */
export function svg(name, attributes, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

/** Make a row of buttons one stop of the Tab key; arrow keys, Home and End go from button to button (ARIA's toolbar). */
export function oneStop(row) {
  row.addEventListener("keydown", (event) => {
    const buttons = [...row.children].filter((button) => !button.hidden);
    const at = buttons.indexOf(document.activeElement), last = buttons.length - 1;
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = buttons.at(to > last ? 0 : to);
    for (const button of buttons) button.tabIndex = button === next ? 0 : -1;
    next.focus();
  });
}
