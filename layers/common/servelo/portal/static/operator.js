// What the operator of the whole system sees: tenants, dead-letter queues, and the mail that belongs to no tenant.

import { el, moment, replace } from "./el.js";
import { received, sections, sent, suppressions } from "./settings.js";
import { button, confirm, dialog, empty, field, form, paged, toast } from "./ui.js";

function tenants(box, { api, signal }) {
  const SMTP = { shared: "shared address", connected: "own SMTP", breaker_open: "own SMTP refused, shared address meanwhile" };
  const usage = (one) => [el("dl", { class: "figures" }, [["Tickets", one.tickets], ["Members", one.members]].map(([words, value]) => el("div", null, el("dt", null, words), el("dd", null, value)))),
    el("br"), el("dl", { class: "pairs" }, [["Mail goes out by", SMTP[one.smtp]], ["Admins", one.admins.join(", ")], ["Told of new mail", one.notify_email || "all admins"], ["Inbound address", one.inbound_address]].map(([words, value]) => [el("dt", null, words), el("dd", null, value)]))];
  const list = paged((cursor) => api.tenants.list({ cursor }, signal), (one) => el("li", null, el("div", { class: "grow" }, el("div", { class: "name" }, one.name), el("div", { class: "soft small" }, one.slug, one.inbound_address ? ` · ${one.inbound_address}` : "", " · since ", moment(one.created_at))),
    one.suspended ? el("span", { class: "tag bad" }, "Suspended") : el("span", { class: "tag good" }, "Active"),
    one.smtp === "breaker_open" ? el("span", { class: "tag warn" }, "SMTP refused") : null,
    button("Usage", () => dialog(one.name, () => usage(one)), { kind: "slim" }),
    button(one.suspended ? "Lift" : "Suspend", async () => {
      if (!one.suspended && !await confirm(`Suspend ${one.name}?`, "Mail to them is recorded but makes no ticket, nothing is sent, and nobody of them can sign in. Lifting it lets the recorded mail be replayed.", { yes: "Suspend", danger: true })) return;
      await api.tenants.change(one.slug, { suspended: !one.suspended }, one.version);
      toast(one.suspended ? "Lifted." : "Suspended.");
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
  const NAMES = { inbound: "Mail coming in", outbound: "Mail going out" };
  const list = paged(() => api.operator.queues(signal), (queue) => el("li", null, el("div", { class: "grow" }, el("div", { class: "name" }, NAMES[queue.name] ?? queue.name), el("div", { class: "soft small" }, `${queue.waiting} being worked on`)),
    el("span", { class: `tag ${queue.dead ? "bad" : "good"}` }, queue.dead ? `${queue.dead} could not be worked on` : "nothing dead"),
    queue.dead ? button("Redrive", async () => { const answer = await api.operator.redrive(queue.name); toast(`${answer.moved} sent on their way again.`); list.again(); }, { kind: "slim", image: "retry" }) : null), () => empty("list", "No queues", "None is known."));
  replace(box, el("section", { class: "card" }, el("h2", null, "Dead-letter queues"), el("p", { class: "soft" }, "What could not be worked on after several tries waits here for fourteen days. Mend the cause first, then redrive: doing something twice makes nothing twice."), list));
}

const PAGES = [["tenants", "Tenants", tenants], ["queues", "Dead-letter queues", queues], ["received", "Received", received], ["sent", "Sent", sent], ["suppressions", "Suppressions", suppressions]];

export const open = (main, context) => sections(main, context, "/operator", "Operator", PAGES);
