// Making DOM nodes from data. Text goes in as text nodes; there is no way here to pass markup, a style
// attribute or a handler in words, so that nothing a stranger wrote can become anything but text.

const SAFE_URL = /^(?:https?:|mailto:|tel:|blob:|#|\.?\/(?!\/)|data:image\/(?:png|jpe?g|gif|webp)[;,])/i;
const URL_ATTRIBUTES = new Set(["href", "src", "action"]);
const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "selected", "open", "htmlFor", "srcdoc", "indeterminate"]);

/** Make an element. props: attributes, `class`, `on: {event: handler}`, `dataset`; children: strings, nodes, lists, null. */
export function el(name, props, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "on") for (const [type, handler] of Object.entries(value)) node.addEventListener(type, handler);
    else if (key === "class") node.className = value;
    else if (key === "dataset") Object.assign(node.dataset, value);
    else if (PROPERTIES.has(key)) node[key] = value;
    else if (URL_ATTRIBUTES.has(key)) { if (SAFE_URL.test(value)) node.setAttribute(key, value); }
    else if (key === "style" || key.startsWith("on") || key === "innerHTML") throw new Error(`el: ${key} is not allowed`);
    else node.setAttribute(key, value === true ? "" : value);
  }
  add(node, children);
  return node;
}

/** Append strings, nodes and nested lists to a node. */
export function add(node, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false || child === "") continue;
    node.append(child instanceof Node ? child : String(child));
  }
  return node;
}

export function replace(node, ...children) {
  node.replaceChildren();
  return add(node, children);
}

const SVG = "http://www.w3.org/2000/svg";
const ICONS = {
  inbox: "M3 13h5l1.5 3h5L16 13h5M5.5 5h13L21 13v5a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1v-5L5.5 5Z",
  gear: "M12 15.2a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4ZM19.4 13.5l1.6 1.2-1.8 3.1-1.9-.7a7 7 0 0 1-2 1.1L15 20h-3.8l-.4-1.9a7 7 0 0 1-2-1.1l-1.9.7-1.8-3.1 1.6-1.2a7 7 0 0 1 0-2.5L5 9.7l1.8-3.1 1.9.7a7 7 0 0 1 2-1.1L11.2 4H15l.3 2.2a7 7 0 0 1 2 1.1l1.9-.7L21 9.7l-1.6 1.3a7 7 0 0 1 0 2.5Z",
  wrench: "M14.5 6.5a4 4 0 0 0-5.3 5.2L4 17l3 3 5.3-5.2a4 4 0 0 0 5.2-5.3L15 12l-3-3 2.5-2.5Z",
  user: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM4.5 20a7.5 7.5 0 0 1 15 0",
  search: "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13ZM20 20l-4.7-4.7",
  plus: "M12 5v14M5 12h14",
  back: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  more: "M6 12a1 1 0 1 1-2 0 1 1 0 0 1 2 0M13 12a1 1 0 1 1-2 0 1 1 0 0 1 2 0M20 12a1 1 0 1 1-2 0 1 1 0 0 1 2 0",
  clip: "M20 11.5l-8 8a5 5 0 0 1-7-7l8.5-8.5a3.3 3.3 0 0 1 4.7 4.7L9.7 17.2a1.7 1.7 0 0 1-2.4-2.4l7.7-7.7",
  send: "M4 12l16-8-6 16-3-7-7-1Z",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  check: "M5 12.5l4.5 4.5L19 7.5",
  clock: "M12 20a8 8 0 1 0 0-16 8 8 0 0 0 0 16ZM12 8v4l3 2",
  warn: "M12 4l9 16H3L12 4ZM12 10v4M12 17h.01",
  cross: "M6 6l12 12M18 6L6 18",
  copy: "M9 9h10v11H9zM5 15V4h10v1",
  image: "M4 5h16v14H4zM8.5 10a1 1 0 1 0 0-2 1 1 0 0 0 0 2ZM4 17l5-4 3 2 4-4 4 4",
  file: "M7 3h7l4 4v14H7zM14 3v4h4",
  out: "M10 4H5v16h5M15 8l4 4-4 4M19 12H9",
  retry: "M19 12a7 7 0 1 1-2-5M19 4v4h-4",
  mail: "M4 6h16v12H4zM4 7l8 6 8-6",
  shield: "M12 3l7 3v5c0 5-3 8-7 10-4-2-7-5-7-10V6l7-3Z",
  list: "M8 6h12M8 12h12M8 18h12M4 6h.01M4 12h.01M4 18h.01",
  merge: "M7 4v4a6 6 0 0 0 5 6 6 6 0 0 0 5-6V4M12 14v6M9 17l3 3 3-3",
  help: "M12 20a8 8 0 1 0 0-16 8 8 0 0 0 0 16ZM9.8 9.7a2.3 2.3 0 1 1 3.3 2.1c-.8.4-1.1.9-1.1 1.7M12 16.5h.01",
  sun: "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6L7 7M17 17l1.4 1.4M5.6 18.4L7 17M17 7l1.4-1.4",
};

/** A decorative icon: the words beside it, or the button's label, say what it means. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

const LINK = /https?:\/\/[^\s<>"'\u0000-\u001f\u202a-\u202e\u2066-\u2069]{1,2000}/gi;

/** Plain text as nodes, its web addresses as links that give nothing away. */
export function linked(text) {
  const nodes = [];
  let at = 0;
  for (const match of text.matchAll(LINK)) {
    const address = match[0].replace(/[).,;:!?\]}]+$/, "");
    nodes.push(text.slice(at, match.index), el("a", { href: address, target: "_blank", rel: "noopener noreferrer nofollow" }, address));
    at = match.index + address.length;
  }
  nodes.push(text.slice(at));
  return nodes;
}

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const dayAndYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });

/** A moment as people say it, the exact one on hover. Takes an ISO string. */
export function moment(iso) {
  const date = new Date(iso);
  if (!iso || Number.isNaN(date.getTime())) return el("span", null, "–");
  const seconds = (date - Date.now()) / 1000;
  const size = Math.abs(seconds);
  let words;
  if (size < 60) words = "now";
  else if (size < 3600) words = relative.format(Math.round(seconds / 60), "minute");
  else if (size < 86400) words = relative.format(Math.round(seconds / 3600), "hour");
  else if (size < 7 * 86400) words = relative.format(Math.round(seconds / 86400), "day");
  else words = (date.getFullYear() === new Date().getFullYear() ? day : dayAndYear).format(date);
  return el("time", { datetime: iso, title: exact.format(date) }, words);
}

export function size(bytes) {
  if (!(bytes >= 0)) return "";
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1e6) return `${Math.round(bytes / 1000)} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** "Ana Pérez <ana@x.example>", or the address alone. */
export const person = ({ name, email }) => (name && name !== email ? `${name} <${email}>` : email || "unknown");

/** A stable word of the API as people read it: ticket_created, "Ticket created". */
export const plain = (word) => (word ? word[0].toUpperCase() + word.slice(1).replaceAll("_", " ") : "");

/** One or two letters for a round badge. */
export const initials = (words) => {
  const parts = (words || "?").replace(/@.*/, "").split(/[\s._-]+/u).filter(Boolean);
  const letters = parts.length > 1 ? [parts[0], parts[parts.length - 1]] : parts;
  return letters.map((part) => [...part][0]).join("").toUpperCase() || "?";
};
