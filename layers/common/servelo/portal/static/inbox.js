// The list of tickets, live, and beside it or instead of it the conversation.

import { el, icon, moment, replace } from "./el.js";
import { statusTag } from "./pieces.js";
import { talk } from "./talk.js";
import { firstTickets, titled } from "./team.js";
import { button, dialog, empty, failure, field, form, poll, toast } from "./ui.js";

const TABS = [["open", "Open"], ["pending", "Pending"], ["closed", "Closed"], ["spam", "Spam"]];
const LIVE_SECONDS = 15;

export function open(main, context) {
  const { api, go, signal } = context;
  const filter = { status: "open", assignee: "", q: "" };
  let number;                 // undefined before the first page, null when no ticket is open
  let items = [];
  let cursor = null;
  let conversation = null;
  let asked = 0;

  const search = el("input", { type: "search", placeholder: "Search", "aria-label": "Search tickets by number, subject, person or words", maxlength: "200", on: { input: () => { clearTimeout(search.timer); search.timer = setTimeout(() => { filter.q = search.value.trim(); load(); }, 250); }, keydown: (event) => { if (event.key === "Escape") { search.value = ""; filter.q = ""; load(); } } } });
  const tabs = el("div", { class: "tabs", role: "group", "aria-label": "Status" }, TABS.map(([status, words]) => el("button", { type: "button", dataset: { status }, on: { click: () => { filter.status = status; load(); } } }, words)));
  const assignee = el("select", { "aria-label": "Assigned to", on: { change: () => { filter.assignee = assignee.value; load(); } } },
    el("option", { value: "" }, "Everybody's"), el("option", { value: "me" }, "Mine"), context.members.map((m) => el("option", { value: m.email }, m.name || m.email)));
  const list = el("ul", { class: "tickets", "aria-label": "Tickets" });
  const below = el("div", null);
  const heading = el("h1", { class: "grow", tabindex: "-1" }, "Tickets");
  const live = el("p", { class: "sr", role: "status" });
  const listPane = el("section", { class: "list-pane", "aria-label": "Tickets" },
    el("div", { class: "list-top" }, el("div", { class: "head" }, heading, button("New", () => compose(), { image: "plus", kind: "" })),
      el("div", { class: "row tight" }, el("div", { class: "find grow" }, icon("search"), search), assignee), tabs), live, list, below);
  const talkPane = el("section", { class: "talk-pane", "aria-label": "Conversation" });
  const box = el("div", { class: "inbox" }, listPane, talkPane);
  main.append(box);

  const wanted = (extra) => ({ status: filter.q ? "" : filter.status, q: filter.q, assignee: filter.assignee, limit: 50, ...extra });

  async function load() {
    const turn = (asked += 1);
    for (const tab of tabs.children) {
      if (!filter.q && tab.dataset.status === filter.status) tab.setAttribute("aria-current", "true"); else tab.removeAttribute("aria-current");
    }
    const slow = setTimeout(() => { replace(list, [1, 2, 3, 4].map(() => el("li", { "aria-hidden": "true" }, el("a", null, el("span"), el("span", { class: "ghost" }))))); replace(below); }, 200);
    try {
      let page = await (firstTickets() ?? api.tickets.list(wanted(), signal));
      // With a filter a page may be empty and not the last.
      while (!page.items.length && page.next_cursor && turn === asked) page = await api.tickets.list(wanted({ cursor: page.next_cursor }), signal);
      if (turn !== asked) return;
      items = page.items;
      cursor = page.next_cursor;
      draw();
    } catch (problem) {
      if (problem.name !== "AbortError" && turn === asked) { replace(list); replace(below, failure(problem, load)); }
    } finally { clearTimeout(slow); }
  }

  function row(ticket) {
    const named = ticket.requester?.name || ticket.requester?.email || "unknown sender";
    const who = context.members.find((m) => m.email === ticket.assignee);
    return el("li", null, el("a", { href: `/tickets/${ticket.number}`, class: ticket.unread ? "unread" : "", dataset: { number: ticket.number }, "aria-current": ticket.number === number ? "true" : null },
      el("span", { class: "dot" }, ticket.unread ? el("span", { class: "sr" }, "Unread.") : null),
      el("span", { class: "name cut" }, named), moment(ticket.updated_at),
      el("span", { class: "subject cut" }, ticket.subject || "(no subject)"),
      ticket.preview ? el("span", { class: "preview cut" }, ticket.preview) : null,
      el("span", { class: "meta" }, el("span", { class: "number" }, `#${ticket.number}`),
        filter.q || ticket.status !== filter.status ? statusTag(ticket.status) : null,
        ticket.needs_accept ? el("span", { class: "tag warn" }, "Waits for accept") : null,
        ticket.assignee ? el("span", { class: "tag" }, icon("user"), who?.name || ticket.assignee) : null)));
  }

  function nothing() {
    if (filter.q) return empty("search", "Nothing found", `No ticket matches “${filter.q}”. Try a number, an address, or fewer words.`);
    if (filter.status !== "open" || filter.assignee) return empty("inbox", "Nothing here", "No ticket has this status.");
    return empty("inbox", "All done", "New mail to your support address shows up here by itself.", context.settings?.inbound_address ? null : el("a", { class: "button", href: "/settings/inbound-address" }, "Set up your address"));
  }

  function draw() {
    const focused = list.contains(document.activeElement) ? document.activeElement.dataset.number : null;
    replace(list, items.map(row));
    if (focused) list.querySelector(`[data-number="${focused}"]`)?.focus({ preventScroll: true });
    replace(below, items.length ? null : nothing());
    if (cursor) below.append(el("div", { class: "waiting" }, button("Show more", async () => {
      const page = await api.tickets.list(wanted({ cursor }), signal);
      const from = items.length;
      items = items.concat(page.items);
      cursor = page.next_cursor;
      draw();
      list.children[from]?.querySelector("a").focus();
    })));
    const unread = items.filter((t) => t.unread).length;
    if (!number) document.title = `${unread ? `(${unread}) ` : ""}Tickets · ${context.settings?.name ?? "Servelo Mail"}`;
  }

  async function refresh() {
    const turn = asked;
    if (filter.q || filter.assignee) return;
    const page = await api.tickets.list(wanted(), signal);
    if (turn !== asked) return;
    const known = new Map(items.map((t) => [t.number, t.updated_at]));
    const fresh = page.items.filter((t) => t.unread && known.get(t.number) !== t.updated_at);
    // Pages further down stay as they are; the first is what changes.
    const first = new Set(page.items.map((t) => t.number));
    const rest = items.length > 50 ? items.slice(50).filter((t) => !first.has(t.number)) : [];
    items = [...page.items, ...rest];
    if (!rest.length) cursor = page.next_cursor;
    draw();
    if (fresh.length) live.textContent = fresh.length === 1 ? `New mail: ${fresh[0].subject}` : `${fresh.length} tickets have new mail.`;
  }

  function show(next) {
    if (next === number) return;
    conversation?.leave();
    conversation = null;
    number = next;
    box.classList.toggle("reading", number !== null);
    for (const link of list.querySelectorAll("a[data-number]")) {
      if (Number(link.dataset.number) === number) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
    }
    if (number === null) {
      replace(talkPane, empty("mail", "No ticket chosen", "Choose one from the list, or press j and o."));
      titled("Tickets");
      return;
    }
    talkPane.scrollTop = 0;
    conversation = talk(talkPane, number, { ...context, changed: (ticket) => {
      const at = items.findIndex((t) => t.number === ticket.number);
      if (at < 0) return;
      items[at] = { ...items[at], ...Object.fromEntries(["subject", "status", "assignee", "unread", "requester"].filter((key) => key in ticket).map((key) => [key, ticket[key]])) };
      draw();
    } });
  }

  function compose() {
    return dialog("New ticket", (close) => {
      const fields = {
        email: field("Customer's e-mail address", { name: "email", kind: "email", required: true, autocomplete: "off" }),
        name: field("Customer's name", { name: "name", maxlength: "200", autocomplete: "off" }),
        subject: field("Subject", { name: "subject", required: true, maxlength: "200" }),
        text: field("What is it about?", { name: "text", kind: "textarea", required: true, rows: "6", hint: "The customer gets this by mail and can answer it." }),
      };
      return form(fields, { submit: "Create ticket", save: async (v) => {
        const made = await api.tickets.create({ email: v.email.trim(), name: v.name, subject: v.subject, text: v.text });
        close();
        toast(`Ticket #${made.number} was created.`);
        load();
        go(`/tickets/${made.number}`);
      } });
    });
  }

  const links = () => [...list.querySelectorAll("a[data-number]")];
  function move(step) {
    const all = links();
    if (!all.length) return;
    let at = all.indexOf(document.activeElement);
    if (at < 0) at = all.findIndex((link) => link.getAttribute("aria-current") === "true");
    const target = all[Math.max(0, Math.min(all.length - 1, at + step))];
    if (number) target.click();
    target.focus();
    target.scrollIntoView({ block: "nearest" });
  }

  load();
  poll(refresh, LIVE_SECONDS, signal);
  return {
    update(values) {
      if (values.number === "new") { show(null); compose().then(() => { if (location.pathname === "/tickets/new") go("/tickets", { instead: true }); }); return; }
      show(values.number ? Number(values.number) : null);
    },
    key(key) {
      if (key === "j") move(1);
      else if (key === "k") move(-1);
      else if (key === "o") { const link = links().includes(document.activeElement) ? document.activeElement : links()[0]; link?.click(); } else if (key === "/") search.focus();
      else if (key === "u" && number) { const was = number; go("/tickets"); list.querySelector(`[data-number="${was}"]`)?.focus(); } else return conversation?.key(key) ?? false;
      return true;
    },
    leave() { conversation?.leave(); },
  };
}
