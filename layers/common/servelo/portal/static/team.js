// The team's and the operator's portal: sign-in, the frame around the pages, addresses, keys.

import { Client, Problem, auth, team } from "./api.js";
import { el, icon, plain, replace } from "./el.js";
import { choosePassword, signInDialog, signInPage } from "./signin.js";
import { brand, button, dialog, failure, theme, waiting } from "./ui.js";

const client = new Client("servelo:session");
client.askSignIn = () => signInDialog(client);
export const api = team(client);

export const context = { client, api, settings: null, members: [], can: (role) => client.user?.role === role };

const PAGES = [
  [/^\/(?:settings|operator)\/account\/?$/, () => import("./account.js"), "account", ["admin", "technician", "operator"]],
  [/^\/(?:tickets(?:\/(?<number>\d+|new))?)?\/?$/, () => import("./inbox.js"), "inbox", ["admin", "technician"]],
  [/^\/settings(?:\/(?<page>[a-z-]+)(?:\/(?<record>[^/]+))?)?\/?$/, () => import("./settings.js"), "settings", ["admin", "technician"]],
  [/^\/operator(?:\/(?<page>[a-z-]+)(?:\/(?<record>[^/]+))?)?\/?$/, () => import("./operator.js"), "operator", ["operator"]],
];

let current = null;   // {name, view, controller}
let main = null;

/** Go to another page of the portal without loading it anew. */
export function go(path, { instead = false } = {}) {
  history[instead ? "replaceState" : "pushState"](null, "", path);
  return route();
}

async function route() {
  const path = location.pathname;
  const home = context.can("operator") ? "/operator" : "/tickets";
  const found = PAGES.map(([pattern, load, name, roles]) => ({ match: pattern.exec(path), load, name, roles })).find((page) => page.match);
  if (!found || !found.roles.includes(client.user?.role)) {
    if (path !== home && (path === "/" || path === "/login" || found)) { go(home, { instead: true }); return; }
    drop();
    document.title = "Not found · Servelo Mail";
    replace(main, failure({ status: 404 }));
    return;
  }
  for (const link of document.querySelectorAll(".side a")) {
    if (link.dataset.page === found.name) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  const values = { ...found.match.groups, query: new URLSearchParams(location.search) };
  if (current?.name === found.name && current.view?.update) { current.view.update(values); return; }
  drop();
  const controller = new AbortController();
  current = { name: found.name, controller, view: null };
  const slow = setTimeout(() => replace(main, waiting()), 150);
  try {
    const module = await found.load();
    clearTimeout(slow);
    if (controller.signal.aborted) return;
    replace(main);
    main.scrollTop = 0;
    current.view = module.open(main, { ...context, go, signal: controller.signal });
    current.view.update(values);
  } catch (error) {
    clearTimeout(slow);
    console.error(error);
    current = null;
    replace(main, failure({ detail: "The page could not be loaded." }, () => route()));
  }
}

function drop() {
  current?.controller.abort();
  current?.view?.leave?.();
  current = null;
}

/** Name the page in the title, and let screen readers say it. */
export function titled(words, heading = null) {
  document.title = `${words} · ${context.settings?.name ?? "Servelo Mail"}`;
  heading?.focus({ preventScroll: true });
}

const navLink = (path, page, image, words) => el("li", null, el("a", { href: path, dataset: { page } }, icon(image), words));

function frame() {
  const user = client.user;
  const operator = user.role === "operator";
  const settings = context.settings;
  main = el("main", { class: "main", id: "main", tabindex: "-1" });
  const logo = settings?.logo_url ? el("img", { src: settings.logo_url, alt: "" }) : el("span", { class: "sign" }, icon("mail"));
  replace(document.getElementById("root"), el("div", { class: "shell" },
    el("nav", { class: "side", "aria-label": "Portal" },
      el("div", { class: "logo" }, logo, el("span", { class: "cut" }, settings?.name ?? "Servelo Mail")),
      el("ul", { class: "links" },
        operator ? navLink("/operator", "operator", "wrench", "Operator") : [navLink("/tickets", "inbox", "inbox", "Tickets"), navLink("/settings", "settings", "gear", "Settings")],
        navLink(`/${operator ? "operator" : "settings"}/account`, "account", "user", "Account")),
      el("div", { class: "who" }, el("div", { class: "cut", title: user.email }, user.name || user.email), el("div", null, plain(user.role)),
        el("div", { class: "row" }, button("", () => theme(true), { kind: "quiet square", image: "sun", title: "Change colours: system, light, dark" }),
          button("", () => keys(), { kind: "quiet square", image: "help", title: "Keyboard shortcuts" }),
          button("", () => leave(), { kind: "quiet square", image: "out", title: "Sign out" })))),
    main));
}

export async function leave() {
  try { await auth(client).logout(); } catch { /* the tokens are forgotten here in any case */ }
  client.keep(null);
  for (const key of Object.keys(localStorage)) if (key.startsWith("servelo:draft:")) localStorage.removeItem(key);
  location.assign("/");
}

const KEYS = [["j / k", "next or previous ticket"], ["o or Enter", "open the ticket"], ["u", "back to the list"], ["r", "write an answer"], ["n", "write an internal note"], ["/", "search"], ["Ctrl + Enter", "send what you wrote"], ["?", "this list"]];
const shortcutsOn = () => localStorage.getItem("servelo:keys") !== "off";

export function keys() {
  return dialog("Keyboard shortcuts", () => [
    el("dl", { class: "pairs" }, KEYS.map(([key, words]) => [el("dt", null, el("kbd", null, key)), el("dd", null, words)])),
    el("label", { class: "check" }, el("input", { type: "checkbox", checked: shortcutsOn(), on: { change: (event) => localStorage.setItem("servelo:keys", event.target.checked ? "on" : "off") } }), "Use single keys as shortcuts")]);
}

function listen() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href^='/']");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || link.target || /^\/(?:api|static|portal|openapi)/.test(link.getAttribute("href"))) return;
    event.preventDefault();
    go(link.getAttribute("href"));
  });
  addEventListener("popstate", () => route());
  document.addEventListener("keydown", (event) => {
    if (event.metaKey || event.ctrlKey || event.altKey || !shortcutsOn() || document.querySelector("dialog[open]")) return;
    if (event.target.closest?.("input, textarea, select, [contenteditable]")) return;
    if (event.key === "?") { event.preventDefault(); keys(); } else if (current?.view?.key?.(event.key)) event.preventDefault();
  });
  document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); document.getElementById("main")?.focus(); });
}

let ahead = null;   // the open tickets, asked for before their page is there

/** The answer to the list's first question, once, where it was asked ahead. */
export function firstTickets() {
  const asked = ahead;
  ahead = null;
  return asked;
}

/** Read what every page needs, who I am, the tenant, the team; the list's first page at the same time. */
async function know() {
  ahead = client.user?.role !== "operator" && /^\/(?:tickets.*)?$/.test(location.pathname) ? api.tickets.list({ status: "open", limit: 50 }) : null;
  ahead?.catch(() => {});   // whoever takes it is told
  const me = await auth(client).me();
  client.keep({ ...client.session, user: me.user });
  if (me.tenant?.suspended) throw new Problem(403, { code: "tenant_suspended", detail: "This help desk is suspended. Ask the operator." });
  if (me.tenant) {
    context.settings = me.tenant;
    context.members = me.tenant.members;
    brand(me.tenant.colour);
  }
}

/** After settings changed: the name, logo and colour at once. */
export function refreshed(settings) {
  context.settings = settings;
  brand(settings.colour);
  const logo = document.querySelector(".side .logo");
  if (logo) replace(logo, settings.logo_url ? el("img", { src: settings.logo_url, alt: "" }) : el("span", { class: "sign" }, icon("mail")), el("span", { class: "cut" }, settings.name));
}

export async function start() {
  listen();
  const root = document.getElementById("root");
  let said = null;
  const link = /^\/(reset|welcome)\/?$/.exec(location.pathname);
  if (link) {
    const token = new URLSearchParams(location.hash.slice(1)).get("token");
    history.replaceState(null, "", location.pathname);
    client.keep(null);
    said = await choosePassword(client, token, link[1] === "welcome");
    history.replaceState(null, "", "/");
  }
  if (!client.session) await signInPage(client, said);
  replace(root, waiting());
  for (;;) {
    try { await know(); break; } catch (problem) {
      if (problem.status === 401) { client.keep(null); await signInPage(client); continue; }
      await new Promise((again) => replace(root, failure(problem, again)));
    }
  }
  frame();
  await route();
}
