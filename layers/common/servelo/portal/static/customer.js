// The customers' door: a link by mail instead of a password, their own tickets, answers with files.

import { Client, customer, newKey } from "./api.js";
import { el, icon, initials, linked, moment, replace } from "./el.js";
import { phrases } from "./phrases.js";
import { sign } from "./signin.js";
import { fileList } from "./pieces.js";
import { brand, busy, confirm, dialog, empty, failure, field, form, notice, poll, toast, waiting } from "./ui.js";
import { attachments, draft, dropDrafts, dropZone } from "./write.js";

/** Show the portal of one tenant. */
export async function start(slug) {
  const client = new Client(`servelo:customer:${slug}`, { refresh: false });
  const api = customer(client, slug);
  const base = `/portal/${encodeURIComponent(slug)}`;
  const root = document.getElementById("root");
  let controller = new AbortController();
  let t = phrases("en");

  // The token leaves the address bar, the history and any screenshot before anything else happens.
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (location.hash) history.replaceState(null, "", location.pathname);

  replace(root, waiting());
  let about;
  for (;;) {
    try { about = await api.about(); break; } catch (problem) {
      if (problem.status === 404) { replace(root, el("main", { class: "alone", id: "main" }, empty("warn", "Not found", "There is no customer portal at this address. Answer by e-mail instead."))); return; }
      await new Promise((again) => replace(root, failure(problem, again)));
    }
  }
  t = phrases(about.locale);
  document.documentElement.lang = t.lang;
  brand(about.colour);
  const main = el("main", { class: "door", id: "main", tabindex: "-1" });
  const who = el("div", { class: "row tight" });
  replace(root, el("header", { class: "door-top" }, el("div", null, el("a", { class: "logo", href: base }, about.logo_url ? el("img", { src: about.logo_url, alt: about.name }) : [sign(), el("span", { class: "cut" }, about.name)]), who)), main);

  client.askSignIn = () => dialog(t.expiredTitle, (close) => [el("p", null, t.expired), el("div", { class: "actions" }, el("button", { type: "button", class: "button main", on: { click: async (event) => busy(event.target, async () => { await api.ask(client.user?.email ?? ""); toast(t.linkSent); close(false); }) } }, t.sendLink))]);

  let said = null;
  if (token) {
    try {
      const session = await api.verify(token);
      client.keep({ id_token: session.session, user: session.client });
    } catch (problem) {
      said = notice("bad", problem.status === 0 ? problem.detail : t.badLink);
    }
  }

  function titled(words) { document.title = `${words} · ${about.name}`; main.querySelector("h1")?.focus({ preventScroll: true }); }
  const go = (path) => { history.pushState(null, "", path); route(); };
  addEventListener("popstate", () => route());
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a");
    const to = link?.getAttribute("href") ?? "";
    if (!(to === base || to.startsWith(`${base}/`)) || link.target || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    go(to);
  });
  document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });

  function route() {
    controller.abort();
    controller = new AbortController();
    replace(who, client.session ? [el("span", { class: "soft small cut" }, client.user?.email ?? ""), el("button", { type: "button", class: "button slim", on: { click: () => { dropDrafts(`customer:${slug}:`); client.keep(null); go(base); } } }, t.signOut)] : null);
    const path = location.pathname.slice(base.length).replace(/\/$/, "");
    const number = /^\/tickets\/(\d+)$/.exec(path)?.[1];
    if (!client.session) door();
    else if (number) conversation(Number(number));
    else if (path === "/new" && about.new_tickets_in_portal) fresh();
    else mine();
  }

  function door() {
    const fields = { email: field(t.email, { name: "email", kind: "email", required: true, autocomplete: "email", hint: t.emailHint }) };
    const box = el("div", { class: "stack" }, el("h1", { tabindex: "-1" }, t.yourTickets), el("p", { class: "soft" }, t.doorWords), said, form(fields, { submit: t.sendLink, save: async (v) => {
      await api.ask(v.email.trim());
      replace(box, el("h1", { tabindex: "-1" }, t.lookTitle), notice("good", t.look.replace("{email}", v.email.trim())), el("p", { class: "soft small" }, t.lookMore), el("button", { type: "button", class: "link", on: { click: () => { said = null; route(); } } }, t.otherAddress));
      box.querySelector("h1").focus();
    } }));
    replace(main, el("div", { class: "card" }, box));
    document.title = `${t.yourTickets} · ${about.name}`;
    fields.email.input.focus();
  }

  const tag = (status) => el("span", { class: `tag ${status === "closed" ? "" : status === "pending" ? "warn" : "brand"}` }, t[status]);

  async function mine() {
    const { signal } = controller;
    replace(main, waiting(t.loading));
    let items = [];
    async function more(cursor) {
      const page = await api.tickets({ cursor }, signal);
      items = cursor ? items.concat(page.items) : page.items;
      return page.next_cursor;
    }
    function draw(next) {
      replace(main, el("div", { class: "head" }, el("h1", { class: "grow", tabindex: "-1" }, t.yourTickets), about.new_tickets_in_portal ? el("a", { class: "button main", href: `${base}/new` }, icon("plus"), t.newTicket) : null),
        items.length ? el("ul", { class: "tickets" }, items.map((one) => el("li", null, el("a", { href: `${base}/tickets/${one.number}` }, el("span"), el("span", { class: "subject-line name" }, one.subject || t.noSubject), moment(one.updated_at), el("span", { class: "meta" }, el("span", { class: "number" }, `#${one.number}`), tag(one.status))))))
          : empty("inbox", t.noTickets, t.noTicketsWords),
        next ? el("div", { class: "waiting" }, el("button", { type: "button", class: "button", on: { click: async (event) => busy(event.target, async () => draw(await more(next))) } }, t.more)) : null);
    }
    try { draw(await more(null)); titled(t.yourTickets); } catch (problem) { left(problem, mine); }
  }

  function left(problem, again) {
    if (problem.name === "AbortError") return;
    if (problem.status === 401) { client.keep(null); said = notice("warn", t.badLink); route(); return; }
    replace(main, problem.status === 404 ? empty("warn", t.notFound, t.notFoundWords, el("div", null, el("a", { class: "button", href: base }, t.yourTickets))) : failure(problem, again));
  }

  /** Text and files with a draft: used for a new ticket and for an answer. */
  function writing(name, { label, rows }) {
    const kept = draft(`customer:${slug}:${client.user?.email ?? ""}:${name}`);
    const old = kept.read();
    let key = newKey();
    const text = field(label, { name: "text", kind: "textarea", rows, maxlength: "50000", value: old?.text ?? "" });
    const keep = () => { key = newKey(); if (text.input.value) kept.keep({ text: text.input.value }); else kept.drop(); };
    text.input.addEventListener("input", keep);
    const files = attachments({ announce: api.uploads, changed: () => { key = newKey(); }, signal: controller.signal, words: t });
    return { text, files, key: () => key, done() { text.input.value = ""; files.clear(); kept.drop(); key = newKey(); } };
  }

  function fresh() {
    const w = writing("new", { label: t.what, rows: "8" });
    const fields = { subject: field(t.subject, { name: "subject", required: true, maxlength: "200" }), text: w.text };
    w.text.input.setAttribute("aria-required", "true");
    const made = form(fields, { submit: t.send, more: [w.files.picker], save: async (v) => {
      if (w.files.busy()) { replace(made.line, notice("warn", t.fileOnWay)); return; }
      const ticket = await api.create({ subject: v.subject, text: v.text, files: w.files.done().map(({ id, filename }) => ({ id, filename })) }, w.key());
      w.done();
      toast(t.sent);
      go(`${base}/tickets/${ticket.number}`);
    } });
    made.insertBefore(w.files.node, made.line);
    const card = el("div", { class: "card" }, made);
    dropZone(card, w.text.input, w.files.take);
    replace(main, el("div", { class: "head" }, el("a", { class: "button quiet square", href: base, "aria-label": t.back }, icon("back")), el("h1", { class: "grow", tabindex: "-1" }, t.newTicket)), card);
    titled(t.newTicket);
  }

  async function conversation(number) {
    const { signal } = controller;
    replace(main, waiting(t.loading));
    const address = async (file) => (await api.file(number, file.id)).url;
    const body = el("div", { class: "talk-body" });
    const top = el("div", { class: "head" });
    const shown = new Set();
    function show(ticket) {
      replace(top, el("a", { class: "button quiet square", href: base, "aria-label": t.back }, icon("back")), el("h1", { class: "grow", tabindex: "-1" }, ticket.subject || t.noSubject), el("span", { class: "soft small" }, `#${ticket.number}`), tag(ticket.status));
      for (const comment of ticket.comments) {
        const print = `${comment.id}:${comment.waiting}`;
        if (shown.has(print)) continue;
        shown.add(print);
        body.querySelector(`[data-comment="${CSS.escape(comment.id)}"]`)?.remove();
        const name = comment.mine ? t.you : comment.author_name || about.name;
        body.append(el("article", { class: `comment ${comment.from_team ? "team" : ""}`, dataset: { comment: comment.id }, "aria-label": name }, el("header", null, el("span", { class: "badge", "aria-hidden": "true" }, initials(comment.mine ? client.user?.name || client.user?.email : name)), el("div", { class: "grow" }, el("h2", null, name), el("div", { class: "soft small" }, moment(comment.created_at))), comment.waiting ? el("span", { class: "tag warn" }, t.waiting) : null),
          el("div", { class: "text" }, linked(comment.text)), fileList(comment.files, address)));
      }
    }
    let ticket;
    try { ticket = await api.open(number, signal); } catch (problem) { left(problem, () => conversation(number)); return; }
    show(ticket);
    const w = writing(String(number), { label: t.yourAnswer, rows: "4" });
    const line = el("div", null);
    async function send(button, close) {
      await busy(button, async () => {
        replace(line);
        if (!w.text.input.value.trim() && !w.files.done().length) { w.text.wrong(t.writeFirst); w.text.input.focus(); return; }
        if (w.files.busy()) { replace(line, notice("warn", t.fileOnWay)); return; }
        try {
          await api.comment(number, { text: w.text.input.value, files: w.files.done().map(({ id, filename }) => ({ id, filename })), close }, w.key());
        } catch (problem) {
          if (problem.field === "text") w.text.wrong(problem.detail); else replace(line, notice("bad", problem.status === 401 ? t.expired : problem.detail));
          return;
        }
        w.done();
        toast(t.sent);
        ticket = await api.open(number, signal);
        show(ticket);
      });
    }
    const sender = el("button", { type: "button", class: "button main", on: { click: () => send(sender, false) } }, icon("send"), t.send);
    const closer = el("button", { type: "button", class: "button", on: { click: async () => { if (await confirm(t.closeTitle, t.closeWords, { yes: t.close, no: t.cancel })) { if (!w.text.input.value.trim()) w.text.input.value = t.closeMessage; send(closer, true); } } } }, icon("check"), t.close);
    const box = el("section", { class: "write", "aria-label": t.yourAnswer }, w.text, w.files.node, line, el("div", { class: "actions" }, sender, w.files.picker, closer), el("p", { class: "soft small" }, t.whoSees.replace("{tenant}", about.name)));
    dropZone(box, w.text.input, w.files.take);
    w.text.input.addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); send(sender, false); } });
    replace(main, top, body, box);
    titled(ticket.subject || t.noSubject);
    poll(async () => { ticket = await api.open(number, signal); show(ticket); }, 20, signal);
  }

  route();
}
