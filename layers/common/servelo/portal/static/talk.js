// One conversation: what was said, by whom it was proven, whom each mail reached, and what can be done.

import { add, el, icon, initials, moment, person, plain, replace, size } from "./el.js";
import { STATUS, deliveries, fileList, words } from "./pieces.js";
import { titled } from "./team.js";
import { button, confirm, dialog, failure, field, form, menu, notice, poll, toast, waiting } from "./ui.js";
import { write } from "./write.js";

/** Why a mail became what it became: the record of its delivery. */
export function whyBox(record) {
  return [
    el("p", { class: "row" }, el("span", { class: "tag brand" }, plain(record.outcome)), el("span", { class: "soft small" }, moment(record.received_at))),
    record.remedy ? notice("", record.remedy) : null,
    el("ol", { class: "reasons" }, (record.reasons ?? []).map((reason) => el("li", null, el("div", null, el("strong", null, reason.question), reason.value ? el("span", { class: "soft" }, ` (${reason.value})`) : null, el("div", null, reason.answer))))),
    el("dl", { class: "pairs" }, [["From", record.sender], ["Delivered to", record.envelope_recipient], ["Subject", record.subject], ["Size", size(record.size_bytes)],
      ["Verdicts", Object.entries(record.verdicts ?? {}).map(([name, verdict]) => `${name} ${verdict}`).join(", ")], ["Warnings", (record.warnings ?? []).join(", ")]]
      .filter(([, value]) => value).map(([name, value]) => [el("dt", null, name), el("dd", null, value)])),
  ];
}

const MOVING = new Set(["queued", "sending"]);

export function talk(pane, number, context) {
  const { api, go } = context;
  const controller = new AbortController();
  const { signal } = controller;
  let ticket = null;
  let guessed = false;       // the requester was read out of a mail that a member forwarded
  const drawn = new Map();   // comment id -> {print, node}
  const address = async (file) => (await api.tickets.file(number, file.id)).url;

  const top = el("header", { class: "talk-top" });
  const body = el("div", { class: "talk-body", "aria-live": "off" });
  const people = el("div", null);
  const root = el("div", { class: "talk" }, top, el("div", { class: "grow" }, people, body));
  replace(pane, waiting());
  let writer = null;

  async function load() {
    try {
      const fresh = await api.tickets.open(number, signal);
      show(fresh);
    } catch (problem) {
      if (problem.name !== "AbortError") replace(pane, el("div", { class: "talk-top" }, backLink()), failure(problem, load));
    }
  }

  const backLink = () => el("a", { href: "/tickets", class: "button quiet square to-list", "aria-label": "Back to the list" }, icon("back"));

  function show(fresh) {
    const first = ticket === null;
    const before = ticket;
    ticket = fresh;
    if (first || print(before, true) !== print(ticket, true)) header();
    for (const comment of ticket.comments) {
      const known = drawn.get(comment.id);
      const now = JSON.stringify(comment);
      if (known?.print === now) continue;
      const node = article(comment);
      if (known) known.node.replaceWith(node); else body.append(node);
      drawn.set(comment.id, { print: now, node });
    }
    if (first) {
      writer = write({ context, ticket: () => ticket, sent: load, signal });
      root.append(writer.node);
      replace(pane, root);
      titled(`#${ticket.number} ${ticket.subject}`, top.querySelector("h1"));
      const newest = body.lastElementChild;
      if (newest && ticket.comments.length > 1) pane.scrollTop = newest.getBoundingClientRect().top - pane.getBoundingClientRect().top - top.offsetHeight - 14;
      if (ticket.unread) read();
      lookForGuess();
    } else if (before.comments.length < ticket.comments.length) toast("This conversation has something new.");
    writer.update();
    context.changed(ticket);
  }

  async function read() {
    try { await api.tickets.read(number); show({ ...ticket, unread: false }); } catch { /* it stays unread */ }
  }

  async function lookForGuess() {
    const first = ticket.comments[0];
    if (!first?.inbound_id || ticket.status === "closed") return;
    try { guessed = (await api.inbound.open(first.inbound_id, signal)).outcome === "ticket_forwarded_by_member"; } catch { return; }
    if (guessed) header();
  }

  const print = (one, headOnly) => JSON.stringify({ ...one, comments: headOnly ? null : one.comments });

  async function change(values, { quiet = false } = {}) {
    try {
      const fresh = await api.tickets.change(number, values, ticket.version);
      show({ ...ticket, ...fresh, comments: fresh.comments ?? ticket.comments });
      if (!quiet) toast("Saved.");
    } catch (problem) {
      if (problem.name === "AbortError" || quiet) return;
      if (problem.status === 409 || problem.status === 412) toast("Somebody else changed this ticket meanwhile. Here is how it stands now.");
      else toast(problem.detail);
      header();
      load();
    }
  }

  function header() {
    const fixed = ["merged", "spam"].includes(ticket.status);
    const status = el("select", { "aria-label": "Status", disabled: fixed, on: { change: () => change({ status: status.value }) } },
      ["open", "pending", "closed", ...(fixed ? [ticket.status] : [])].map((key) => el("option", { value: key, selected: key === ticket.status }, STATUS[key][0])));
    const known = context.members.some((m) => m.email === ticket.assignee) || !ticket.assignee;
    const assignee = el("select", { "aria-label": "Assigned to", on: { change: () => change({ assignee: assignee.value }) } },
      el("option", { value: "" }, "Nobody"), context.members.map((m) => el("option", { value: m.email, selected: m.email === ticket.assignee }, m.name || m.email)),
      known ? null : el("option", { value: ticket.assignee, selected: true }, ticket.assignee));
    replace(top, el("div", { class: "row tight" }, backLink(), el("h1", { class: "grow", tabindex: "-1", title: ticket.subject }, ticket.subject || "(no subject)"),
      menu("More actions", "more", [
        { label: "Mark as unread", icon: "mail", run: () => change({ unread: true }) },
        { label: "Merge into another ticket", icon: "merge", run: merge },
        { label: "Change requester", icon: "user", run: requester },
        ticket.status === "spam" ? { label: "Not spam", icon: "check", run: notSpam } : { label: "Spam", icon: "warn", run: spam },
        { label: `Block ${ticket.requester?.email ?? "sender"}`, icon: "lock", danger: true, run: block },
      ])),
    el("div", { class: "row" }, el("span", { class: "soft small" }, `#${ticket.number}`), status, assignee,
      ticket.merged_into ? el("a", { href: `/tickets/${ticket.merged_into}` }, `Merged into #${ticket.merged_into}`) : null,
      ticket.linked_number ? el("a", { href: `/tickets/${ticket.linked_number}` }, `Goes on from #${ticket.linked_number}`) : null));
    const followers = ticket.followers ?? [];
    replace(people, el("div", { class: "soft small", "aria-label": "People", role: "group" }, el("p", null, "From ", person(ticket.requester ?? {})),
      followers.length ? el("p", null, `Also reading: ${followers.map(person).join(", ")}`) : null));
    people.className = "people";
    if (ticket.status === "spam") add(people, notice("warn", "This mail was called spam. Nobody was told. ", button("Not spam", notSpam, { kind: "slim" })));
    if (guessed) add(people, notice("", `A team member forwarded this mail; ${person(ticket.requester)} was read from it as the customer. `, el("button", { type: "button", class: "link", on: { click: requester } }, "Correct it")));
  }

  function article(comment) {
    const role = comment.visibility === "internal" ? "internal" : comment.author_role;
    if (comment.author_role === "system") return el("article", { class: "comment system" }, el("p", null, comment.text, " ", moment(comment.created_at)));
    const name = comment.author_name || comment.author_email || "unknown";
    const tags = [
      comment.visibility === "internal" ? el("span", { class: "tag warn" }, icon("lock"), "Internal note") : null,
      comment.author_role === "unverified" ? el("span", { class: "tag bad" }, icon("shield"), "Unverified") : null,
      comment.automatic ? el("span", { class: "tag" }, "Automatic mail") : null,
    ];
    const more = [
      comment.inbound_id ? { label: "Why it is here", icon: "help", run: () => why(comment) } : null,
      comment.has_raw ? { label: "Download the raw mail", icon: "file", run: () => raw(comment) } : null,
    ].filter(Boolean);
    // Who is unverified is said above the words already.
    const odd = (comment.warnings ?? []).filter((words) => !words.startsWith("unverified:"));
    const waits = comment.needs_accept;
    return el("article", { class: `comment ${role} ${waits ? "held" : ""}`, "aria-label": `${name}, ${comment.visibility}` },
      el("header", null, el("span", { class: "badge", "aria-hidden": "true" }, initials(name)),
        el("div", { class: "grow" }, el("div", { class: "row" }, el("h2", null, name), tags), el("div", { class: "soft small" }, comment.author_name && comment.author_email ? `${comment.author_email} · ` : "", moment(comment.created_at))),
        more.length ? menu("About this mail", "more", more) : null),
      waits ? notice("warn", el("p", null, `It is not proven that ${person({ name: comment.author_name, email: comment.author_email })} wrote this. It is kept from the customer's side until you accept it.`),
        el("div", { class: "actions" }, button("Accept", async () => { await api.tickets.accept(number, comment.id); toast("Accepted: it goes on as if it had been proven."); await load(); }, { image: "check", kind: "main slim" }))) : null,
      words(comment, address), fileList(comment.files ?? [], address),
      odd.length ? el("p", { class: "small soft" }, odd.join(" · ")) : null,
      deliveries(comment.deliveries, async (one) => { await api.emails.retry(one.id); toast("It is sent again."); await load(); }));
  }

  function why(comment) {
    return dialog("Why this mail is here", () => {
      const box = el("div", { class: "stack" }, waiting());
      api.inbound.open(comment.inbound_id, signal).then((record) => replace(box, whyBox(record), el("div", { class: "actions" }, el("a", { href: `/settings/received/${encodeURIComponent(record.id)}` }, "Open the record"))), (problem) => replace(box, failure(problem)));
      return box;
    }, { broad: true });
  }

  function raw(comment) {
    return download(() => api.tickets.raw(number, comment.id));
  }

  function merge() {
    return dialog("Merge into another ticket", (close) => form({ into: field("Number of the ticket that goes on", { name: "into", inputmode: "numeric", required: true, hint: `#${number} is closed, and everything said on it moves there.` }) }, { submit: "Merge", save: async (v) => {
      const into = Number(v.into.replace(/^#/, ""));
      await api.tickets.merge(number, into);
      close();
      toast(`Merged into #${into}.`);
      go(`/tickets/${into}`);
    } }));
  }

  function requester() {
    return dialog("Change requester", (close) => form({
      email: field("E-mail address of the customer", { name: "email", kind: "email", value: ticket.requester?.email, required: true }),
      name: field("Name", { name: "name", value: ticket.requester?.name, maxlength: "200" }),
    }, { submit: "Change requester", save: async (v) => {
      await api.tickets.requester(number, { email: v.email.trim(), ...(v.name.trim() ? { name: v.name } : {}) });
      close();
      guessed = false;
      await load();
      toast("The requester was changed. Answers go to them from now on.");
    } }));
  }

  async function spam() {
    try { await api.tickets.spam(number, false); toast("In spam now. Nobody is told of it."); await load(); } catch (problem) { toast(problem.detail); }
  }

  async function notSpam() {
    try { await api.tickets.notSpam(number); toast("Let in as if it came now."); await load(); } catch (problem) { toast(problem.detail); }
  }

  async function block() {
    const who = ticket.requester;
    if (!await confirm(`Block ${who.email}?`, "Mail from this address is recorded and goes no further. You can lift it in Settings, Blocked senders.", { yes: "Block", danger: true })) return;
    try { await api.clients.change(ticket.client_id, { blocked: true }); toast(`${who.email} is blocked.`); } catch (problem) { toast(problem.detail); }
  }

  load();
  poll(async () => { if (ticket) show(await api.tickets.open(number, signal)); }, () => (ticket?.comments.some((c) => c.deliveries?.some((d) => MOVING.has(d.state))) ? 3 : 12), signal);
  return {
    leave() { controller.abort(); writer?.leave(); },
    key(key) {
      if (key === "r" || key === "n") { writer?.focus(key === "r" ? "reply" : "note"); return true; }
      return false;
    },
  };
}

/** Fetch an address that is good for minutes, and download what is there. */
export async function download(place) {
  try {
    const { url, filename } = await place();
    el("a", { href: url, download: filename, target: "_blank", rel: "noopener noreferrer" }).click();
  } catch (problem) { toast(problem.detail ?? "It could not be downloaded."); }
}
