// What the operator of the whole system sees: tenants, dead-letter queues, and the mail that belongs to no tenant.

import { el, moment, replace } from "./el.js";
import { deliveries } from "./pieces.js";
import { KINDS, received, sections, sent, suppressions } from "./settings.js";
import { button, confirm, dialog, empty, field, form, notice, paged, toast } from "./ui.js";

function tenants(box, { api, signal }) {
  const SMTP = { shared: "shared address", connected: "own SMTP", breaker_open: "own SMTP refused, shared address meanwhile" };
  const usage = (one) => [el("dl", { class: "figures" }, [["Tickets", one.tickets], ["Members", one.members]].map(([words, value]) => el("div", null, el("dt", null, words), el("dd", null, value)))),
    el("br"), el("dl", { class: "pairs" }, [["Mail goes out by", SMTP[one.smtp]], ["Admins", one.admins.join(", ")], ["Told of new mail", one.notify_email || "all admins"], ["Inbound address", one.inbound_address]].map(([words, value]) => [el("dt", null, words), el("dd", null, value)]))];
  const list = paged((cursor) => api.tenants.list({ cursor }, signal), (one) => el("li", null, el("div", { class: "grow" }, el("div", { class: "name" }, one.name), el("div", { class: "soft small" }, one.inbound_address, " · since ", moment(one.created_at))),
    one.suspended ? el("span", { class: "tag bad" }, "Suspended") : el("span", { class: "tag good" }, "Active"),
    one.smtp === "breaker_open" ? el("span", { class: "tag warn" }, "SMTP refused") : null,
    button("Usage", () => dialog(one.name, () => usage(one)), { kind: "slim" }),
    button(one.suspended ? "Reactivate" : "Suspend", async () => {
      if (!one.suspended && !await confirm(`Suspend ${one.name}?`, "Mail to them is recorded but makes no ticket, nothing is sent, and nobody of them can sign in. Once they are active again, the recorded mail can be replayed.", { yes: "Suspend", danger: true })) return;
      await api.tenants.change(one.slug, { suspended: !one.suspended }, one.version);
      toast(one.suspended ? `${one.name} is active again.` : `${one.name} is suspended.`);
      list.again();
    }, { kind: one.suspended ? "slim" : "slim danger" })), () => empty("user", "No tenants yet", "Create the first one."));
  const create = () => dialog("New tenant", (close) => form({
    name: field("Organisation name", { name: "name", required: true, maxlength: "100" }),
    slug: field("Short name", { name: "slug", required: true, maxlength: "24", autocapitalize: "none", spellcheck: "false", hint: "Lower case letters, digits and hyphens. It is the part before the @ of their address and cannot be changed." }),
    admin_email: field("Their first admin", { name: "admin_email", kind: "email", required: true, hint: "Gets an invitation by mail." }),
    admin_name: field("Name of the admin", { name: "admin_name", maxlength: "100" }),
  }, { submit: "Create tenant", save: async (v) => { await api.tenants.create(v); close(); toast(`${v.name} was created.`); list.again(); } }));
  replace(box, el("section", { class: "card" }, el("div", { class: "head" }, el("h2", { class: "grow" }, "Tenants"), button("New tenant", create, { image: "plus", kind: "main" })), list));
}

function queues(box, { api, signal }) {
  const NAMES = { inbound: "Mail coming in", outbound: "Mail going out", feedback: "What became of mail sent" };
  const list = paged(() => api.operator.queues(signal), (queue) => el("li", null, el("div", { class: "grow" }, el("div", { class: "name" }, NAMES[queue.name] ?? queue.name), el("div", { class: "soft small" }, `${queue.waiting} being worked on`)),
    el("span", { class: `tag ${queue.dead ? "bad" : "good"}` }, queue.dead ? `${queue.dead} could not be worked on` : "Nothing waits"),
    queue.dead ? button("Redrive", async () => { const answer = await api.operator.redrive(queue.name); toast(`${answer.moved} sent on their way again.`); list.again(); }, { kind: "slim", image: "retry" }) : null), () => empty("list", "No queues", "None is known."));
  replace(box, el("section", { class: "card" }, el("h2", null, "Dead-letter queues"), el("p", { class: "soft" }, "What could not be worked on after several tries waits here for fourteen days. Mend the cause first, then redrive: doing something twice makes nothing twice."), list));
}

function failed(box, { api, signal }) {
  const list = paged((cursor) => api.operator.failed({ cursor, limit: 30 }, signal), (one) => el("li", null,
    el("div", { class: "grow" }, el("div", { class: "name" }, one.slug === "-" ? "Operator" : one.slug, el("span", { class: "soft" }, ` · ${KINDS[one.kind] ?? one.kind}`)),
      deliveries([one], async () => { await api.operator.retry(one.slug, one.id); toast("It is sent again."); list.again(); })),
    el("span", { class: "soft small" }, moment(one.created_at))), () => empty("check", "Every mail arrived", "What a mail server refuses for good, and what may be lost, is listed here for all tenants."));
  replace(box, el("section", { class: "card" }, el("h2", null, "Failed mails"), el("p", { class: "soft" }, "Of all tenants, without their words. Mend the cause, then send again; each tenant sees its own on the ticket and under Sent."), list));
}

async function inbox(box, { api, signal }) {
  let now = await api.operator.settings(signal);
  const fields = { inbox: field("Operator's inbox", { name: "inbox", kind: "email", value: now.inbox, maxlength: "254", placeholder: now.default_inbox, hint: `Empty: ${now.default_inbox}, as the deployment says.` }) };
  const line = el("div", null);
  const show = () => replace(line, notice("", "Mail to ", now.mailboxes.join(", "), " is forwarded to ", el("strong", null, now.inbox || now.default_inbox), "."));
  show();
  replace(box, el("section", { class: "card stack" }, el("h2", null, "Operator's inbox"), el("p", { class: "soft" }, "Mail to the system's own addresses belongs to no tenant. It comes as a new mail with the original attached; your answer goes to its sender."), line,
    form(fields, { submit: "Save", save: async (v) => {
      now = await api.operator.saveSettings({ inbox: v.inbox.trim() }, now.version);
      show();
      toast("Saved. The next mail goes there.");
    } })));
}

const PAGES = [["tenants", "Tenants", tenants], ["failed", "Failed mails", failed], ["queues", "Dead-letter queues", queues], ["inbox", "Operator's inbox", inbox], ["received", "Received", received], ["sent", "Sent", sent], ["suppressions", "Suppressions", suppressions]];

export const open = (main, context) => sections(main, context, "/operator", "Operator", PAGES);
