// The pieces that every page is made of: fields, busy buttons, dialogs, toasts, lists that page.

import { add, el, icon, replace } from "./el.js";
import { Problem, retryNow } from "./api.js";

let counter = 0;
const nextId = (word) => `${word}-${(counter += 1)}`;

/** Say something in passing; read out by screen readers. */
export function toast(words) {
  const node = el("div", { class: "toast" }, words);
  document.getElementById("toasts").append(node);
  setTimeout(() => node.remove(), 6000);
}

export function waiting(words = "Loading…") {
  return el("div", { class: "waiting", role: "status" }, el("span", { class: "spin" }), words);
}

export function empty(image, title, words, ...more) {
  return el("div", { class: "empty" }, icon(image), el("h2", null, title), el("p", null, words), more);
}

export function notice(kind, ...words) {
  const image = { good: "check", warn: "warn", bad: "warn" }[kind] ?? "mail";
  return el("div", { class: `notice ${kind}`, role: kind === "bad" ? "alert" : "status" }, icon(image), el("div", { class: "grow" }, words));
}

/** What stands in place of something that could not be loaded, with a way to try again. */
export function failure(problem, again) {
  const words = problem?.status === 404 ? ["Not found", "It does not exist, or it belongs to somebody else."]
    : problem?.code === "tenant_suspended" ? ["Suspended", problem.detail]
    : problem?.status === 403 ? ["Not allowed", "Your role does not include this page. Ask an admin."]
    : ["This could not be loaded", problem?.detail ?? "Something went wrong."];
  return el("div", { role: "alert" }, empty("warn", ...words, again && problem?.status !== 403 ? el("div", null, el("button", { type: "button", class: "button", on: { click: again } }, icon("retry"), "Try again")) : null));
}

/** A button that shows that it is at work and cannot be pressed twice meanwhile. */
export function button(label, handler, { kind = "", image = null, type = "button", title = null } = {}) {
  const node = el("button", { type, class: `button ${kind}`, title, "aria-label": image && !label ? title : null, on: handler ? { click: (event) => busy(node, () => handler(event)) } : null }, image ? icon(image) : null, label);
  return node;
}

export async function busy(node, work) {
  if (node.getAttribute("aria-disabled") === "true") return undefined;
  const spinner = el("span", { class: "spin" });
  node.setAttribute("aria-disabled", "true");
  const timer = setTimeout(() => { node.prepend(spinner); node.setAttribute("aria-busy", "true"); }, 250);
  try {
    return await work();
  } catch (problem) {
    if (problem?.name === "AbortError") return undefined;
    toast(problem instanceof Problem ? problem.detail : "Something went wrong. Please try again.");
    if (!(problem instanceof Problem)) console.error(problem);
    return undefined;
  } finally {
    clearTimeout(timer);
    spinner.remove();
    node.removeAttribute("aria-disabled");
    node.removeAttribute("aria-busy");
  }
}

/**
 * A labelled field. kind: an input type, "textarea", "select" or "check".
 * Returns the wrapper; `.input` is the control, `.wrong(words)` puts a message beside it, `.right()` takes it away.
 */
export function field(label, { name, kind = "text", value = "", hint = null, options = null, required = false, wide = false, ...rest } = {}) {
  const id = nextId("f");
  let input;
  if (kind === "textarea") input = el("textarea", { id, name, value, ...rest });
  else if (kind === "select") {
    input = el("select", { id, name, ...rest }, options.map(([key, words]) => el("option", { value: key }, words)));
    input.value = value;
  } else if (kind === "check") input = el("input", { id, name, type: "checkbox", checked: Boolean(value), ...rest });
  else input = el("input", { id, name, type: kind, value: value ?? "", ...rest });
  if (required) input.setAttribute("aria-required", "true");
  const hintNode = hint ? el("p", { class: "hint", id: `${id}-h` }, hint) : null;
  const wrongNode = el("p", { class: "wrong", id: `${id}-w`, role: "alert", hidden: true });
  const named = el("label", { for: id }, label);
  const node = el("div", { class: `field ${wide ? "full" : ""}` }, kind === "check" ? el("div", { class: "check" }, input, el("div", null, named, hintNode)) : [named, input, hintNode], wrongNode);
  const describe = (extra) => {
    const ids = [hintNode && `${id}-h`, extra && `${id}-w`].filter(Boolean).join(" ");
    if (ids) input.setAttribute("aria-describedby", ids); else input.removeAttribute("aria-describedby");
  };
  describe(false);
  node.input = input;
  node.label = named;
  node.wrong = (words) => { replace(wrongNode, icon("warn"), words); wrongNode.hidden = false; input.setAttribute("aria-invalid", "true"); describe(true); };
  node.right = () => { wrongNode.hidden = true; input.removeAttribute("aria-invalid"); describe(false); };
  input.addEventListener("input", node.right);
  return node;
}

/** Values of a set of fields by name. */
export const values = (fields) => Object.fromEntries(Object.entries(fields).map(([name, f]) => [name, f.input.type === "checkbox" ? f.input.checked : f.input.type === "number" ? (f.input.value === "" ? null : Number(f.input.value)) : f.input.value]));

/** Where the message of a problem belongs: beside its field when the form has it, else in the form's own line. */
export function showProblem(problem, fields, line) {
  if (!(problem instanceof Problem)) { console.error(problem); replace(line, notice("bad", "Something went wrong. Please try again.")); return; }
  const key = (problem.field ?? "").split(/[./]/).pop();
  const target = fields[problem.field] ?? fields[key];
  if (target) { target.wrong(problem.detail); target.input.focus(); replace(line); } else replace(line, notice("bad", problem.detail));
}

/** A form: fields, a line for what went wrong, and submit. `save(values)` may throw a Problem. */
export function form(fields, { submit, save, more = [], layout = "", kind = "main" }) {
  const line = el("div", null);
  const send = el("button", { class: `button ${kind}`, type: "submit" }, submit);
  const node = el("form", { novalidate: true, on: { submit: (event) => {
    event.preventDefault();
    busy(send, async () => {
      replace(line);
      for (const one of Object.values(fields)) one.right?.();
      for (const one of Object.values(fields)) {
        if (one.input?.getAttribute("aria-required") && !String(one.input.value).trim()) { one.wrong("Please fill this in."); one.input.focus(); return; }
        if (one.input?.type === "email" && one.input.value && one.input.validity.typeMismatch) { one.wrong("This is not an e-mail address."); one.input.focus(); return; }
      }
      try { await save(values(fields), node); } catch (problem) { if (problem?.name !== "AbortError") showProblem(problem, fields, line); }
    });
  } } }, el("div", { class: `fields ${layout}` }, Object.values(fields)), line, el("div", { class: "actions" }, send, more));
  node.line = line;
  node.send = send;
  return node;
}

/** A modal dialog; the promise answers what close() was given, undefined when it was dismissed. */
export function dialog(title, build, { broad = false, fixed = false } = {}) {
  return new Promise((done) => {
    const id = nextId("d");
    let answer;
    const close = (value) => { answer = value; box.close(); };
    const box = el("dialog", { class: broad ? "broad" : "", "aria-labelledby": id, on: {
      close: () => { box.remove(); done(answer); },
      cancel: (event) => { if (fixed) event.preventDefault(); },
      click: (event) => { if (event.target === box && !fixed) box.close(); },
    } }, el("div", { class: "row tight" }, el("h2", { id, class: "grow", tabindex: "-1" }, title), fixed ? null : el("button", { type: "button", class: "button quiet square", "aria-label": "Close", on: { click: () => box.close() } }, icon("cross"))));
    add(box, build(close));
    document.body.append(box);
    box.showModal();
    (box.querySelector("[autofocus], input, textarea, select") ?? box.querySelector("h2")).focus();
  });
}

export function confirm(title, words, { yes = "Yes", no = "Cancel", danger = false } = {}) {
  return dialog(title, (close) => [el("p", null, words), el("div", { class: "actions" }, el("button", { type: "button", class: `button ${danger ? "danger" : "main"}`, on: { click: () => close(true) } }, yes), el("button", { type: "button", class: "button quiet", on: { click: () => close(false) } }, no))]);
}

/** A menu behind a button: Escape and a click elsewhere close it, arrows move in it. */
export function menu(label, image, items) {
  const list = el("ul", { hidden: true });
  const opener = el("button", { type: "button", class: "button quiet square", "aria-label": label, title: label, "aria-expanded": "false", on: { click: () => toggle(list.hidden) } }, icon(image));
  const box = el("div", { class: "menu", on: { keydown: (event) => {
    const buttons = [...list.querySelectorAll("button, a")];
    if (event.key === "Escape" && !list.hidden) { event.stopPropagation(); toggle(false); opener.focus(); }
    if (["ArrowDown", "ArrowUp"].includes(event.key) && !list.hidden) {
      event.preventDefault();
      const at = buttons.indexOf(document.activeElement);
      buttons[(at + (event.key === "ArrowDown" ? 1 : -1) + buttons.length) % buttons.length]?.focus();
    }
  }, focusout: (event) => { if (event.relatedTarget && !box.contains(event.relatedTarget)) toggle(false); } } }, opener, list);
  const away = (event) => { if (!box.contains(event.target)) toggle(false); };
  function toggle(open) {
    list.hidden = !open;
    opener.setAttribute("aria-expanded", String(open));
    if (open) { document.addEventListener("pointerdown", away); list.querySelector("button, a")?.focus(); } else document.removeEventListener("pointerdown", away);
  }
  for (const item of items.filter(Boolean)) {
    list.append(el("li", null, el("button", { type: "button", class: item.danger ? "danger" : "", on: { click: () => { toggle(false); opener.focus(); item.run(); } } }, icon(item.icon), item.label)));
  }
  return box;
}

/** Text with a button that copies it. */
export function copyable(text, label) {
  const said = el("span", null, "Copy");
  const node = el("button", { type: "button", class: "button", "aria-label": `Copy ${label}`, on: { click: async () => {
    try { await navigator.clipboard.writeText(text); said.textContent = "Copied"; toast(`${label[0].toUpperCase()}${label.slice(1)} copied.`); } catch {
      const range = document.createRange();
      range.selectNodeContents(out);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      toast("Press Ctrl+C or ⌘C to copy.");
    }
    setTimeout(() => { said.textContent = "Copy"; }, 3000);
  } } }, icon("copy"), said);
  const out = el("output", null, text);
  return el("div", { class: "copy" }, out, node);
}

/**
 * A list that is fetched page by page. load(cursor) answers {items, next_cursor}; draw(item) a list item.
 * Returns the node; `.again()` starts over.
 */
export function paged(load, draw, nothing) {
  const box = el("div", null);
  async function start() {
    replace(box, waiting());
    try {
      const page = await load(null);
      if (!page.items.length) { replace(box, nothing()); return; }
      const list = el("ul", { class: "rows" }, page.items.map(draw));
      replace(box, list);
      more(list, page.next_cursor);
    } catch (problem) {
      if (problem?.name !== "AbortError") replace(box, failure(problem, start));
    }
  }
  function more(list, cursor) {
    if (!cursor) return;
    const node = button("Show more", async () => {
      const page = await load(cursor);
      const made = page.items.map(draw);
      add(list, made);
      node.remove();
      made[0]?.querySelector("a, button")?.focus();
      more(list, page.next_cursor);
    });
    box.append(node);
  }
  box.again = start;
  start();
  return box;
}

/** Poll while the page is seen; slower after each failure, at once when it is looked at again. */
export function poll(work, seconds, signal) {
  let failures = 0;
  let timer = 0;
  const next = () => { if (!signal.aborted) timer = setTimeout(run, 1000 * Math.min(120, (typeof seconds === "function" ? seconds() : seconds) * 2 ** failures)); };
  async function run() {
    clearTimeout(timer);
    if (signal.aborted) return;
    if (!document.hidden) {
      try { await work(); failures = 0; } catch (problem) { if (problem?.name === "AbortError") return; failures = Math.min(failures + 1, 5); }
    }
    next();
  }
  const seen = () => { if (!document.hidden) run(); };
  document.addEventListener("visibilitychange", seen, { signal });
  addEventListener("servelo:online", run, { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));
  next();
  return run;
}

/** The line at the top of the page while the server cannot be reached. */
export function watchConnection() {
  const bar = document.getElementById("banner");
  addEventListener("servelo:offline", () => {
    if (!bar.hidden) return;
    replace(bar, icon("warn"), "The server cannot be reached, trying again…", el("button", { type: "button", class: "button slim", on: { click: () => retryNow() } }, "Try now"));
    bar.hidden = false;
  });
  addEventListener("servelo:online", () => { if (!bar.hidden) { bar.hidden = true; toast("Connected again."); } });
}

/** Switch between the system's, light and dark colours; remembered on this device. */
export function theme(change = false) {
  const order = ["system", "light", "dark"];
  let now = localStorage.getItem("servelo:theme") ?? "system";
  if (!order.includes(now)) now = "system";
  if (change) { now = order[(order.indexOf(now) + 1) % 3]; localStorage.setItem("servelo:theme", now); toast(`Colours: ${now}.`); }
  if (now === "system") delete document.documentElement.dataset.theme; else document.documentElement.dataset.theme = now;
}

const luminance = ([r, g, b]) => [r, g, b].map((v) => { const c = v / 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; }).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const contrast = (a, b) => { const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
const mix = (a, b, share) => a.map((v, i) => Math.round(v + (b[i] - v) * share));
const hex = (rgb) => `#${rgb.map((v) => v.toString(16).padStart(2, "0")).join("")}`;

/** Use the tenant's colour, with text colours that stay readable (4.5 : 1) on and beside it. */
export function brand(colour) {
  const parts = /^#?([\da-f]{2})([\da-f]{2})([\da-f]{2})$/i.exec(colour ?? "")?.slice(1).map((v) => parseInt(v, 16)) ?? [36, 87, 214];
  const root = document.documentElement.style;
  const [white, black] = [[255, 255, 255], [0, 0, 0]];
  const towards = (paper, end) => { for (let share = 0; share <= 1; share += 0.05) { const made = mix(parts, end, share); if (contrast(made, paper) >= 4.6) return hex(made); } return hex(end); };
  root.setProperty("--brand", hex(parts));
  root.setProperty("--on-brand", contrast(parts, white) >= 4.5 ? "#fff" : contrast(parts, black) >= 4.5 ? "#000" : "#fff");
  root.setProperty("--brand-on-light", towards(mix(white, parts, 0.09), black));
  root.setProperty("--brand-on-dark", towards(mix([24, 28, 34], parts, 0.24), white));
}
