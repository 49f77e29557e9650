// The tenant's settings, one page each.

import { el, icon, moment, plain, replace } from "./el.js";
import { mailFrame } from "./frame.js";
import { outboundCard } from "./smtp.js";
import { deliveries } from "./pieces.js";
import { download, whyBox } from "./talk.js";
import { refreshed, titled } from "./team.js";
import { button, confirm, copyable, dialog, empty, failure, field, form, notice, paged, poll, toast, waiting } from "./ui.js";

const LOCALES = [["en", "English"], ["es", "Español"], ["fr", "Français"], ["de", "Deutsch"], ["pt", "Português"]];

// The steps of a forward rule, {address} being the tenant's inbound address. docs/tenant.md has them at length.
const FORWARDS = [
  ["Gmail or Google Workspace", ["Open Gmail with your support mailbox: Settings (the gear) → See all settings → Forwarding and POP/IMAP.", "Choose Add a forwarding address and enter {address}.", "Google sends a confirmation mail there. It arrives here as a ticket: open it and follow its link.", "Back in Gmail choose Forward a copy of incoming mail to {address}, keep the copy in the inbox, and Save Changes."]],
  ["Microsoft 365", ["In the Exchange admin center open Recipients → Mailboxes → your support mailbox → Manage mail flow settings → Email forwarding.", "Turn on Forward all emails sent to this mailbox and enter {address}. Keep a copy in the mailbox.", "Microsoft blocks forwarding to the outside at first: in the Defender portal open Anti-spam → Anti-spam outbound policy and set Automatic forwarding to On for this mailbox."]],
  ["ImprovMX", ["Point your domain's MX records to mx1.improvmx.com and mx2.improvmx.com if they are not already.", "Add the alias support and let it forward to {address}."]],
  ["Cloudflare Email Routing", ["In the Cloudflare dashboard choose your domain → Email → Email Routing.", "Under Destination addresses add {address}. The verification mail arrives here as a ticket: follow its link.", "Under Routing rules create the address support@ with the action Send to an email, destination {address}."]],
  ["cPanel", ["In cPanel open Email → Forwarders → Add Forwarder.", "Address to Forward: support, your domain. Forward to Email Address: {address}.", "Choose Add Forwarder. If the mailbox exists as well, it keeps its copy."]],
];

function general(box, { api, signal, can }) {
  return api.settings.read(signal).then((settings) => {
    const fields = {
      name: field("Organisation name", { name: "name", value: settings.name, required: true, maxlength: "100" }),
      notify_email: field("Portal Notify Email", { name: "notify_email", kind: "email", value: settings.notify_email, hint: "New mail is announced to this address and nowhere else. Empty: all admins are told." }),
      colour: field("Colour", { name: "colour", kind: "color", value: settings.colour || "#2457d6", hint: "In mails, in the customers' portal, and here." }),
      logo_url: field("Logo address", { name: "logo_url", kind: "url", value: settings.logo_url, hint: "https address of a PNG or JPEG, best about 320 × 80." }),
      locale: field("Language of mails", { name: "locale", kind: "select", value: settings.locale || "en", options: LOCALES, hint: "For the fixed words in mails and in the customers' portal." }),
      next_ticket_number: field("Next ticket number", { name: "next_ticket_number", kind: "number", min: "1", max: "999999999", value: settings.next_ticket_number ?? "", hint: "Can only be raised." }),
      reopen_days: field("Reopen within (days)", { name: "reopen_days", kind: "number", min: "0", max: "3650", value: settings.reopen_days ?? 30, hint: "An answer to a ticket closed longer ago opens a new, linked one." }),
      footer: field("Footer of mails", { name: "footer", kind: "textarea", value: settings.footer, rows: "3", maxlength: "2000", wide: true }),
      customer_portal: field("Customers can see their tickets in the portal", { name: "customer_portal", kind: "check", value: settings.customer_portal, wide: true, hint: settings.portal_address ? `At ${settings.portal_address}` : null }),
      new_tickets_in_portal: field("Customers can open new tickets there", { name: "new_tickets_in_portal", kind: "check", value: settings.new_tickets_in_portal, wide: true }),
    };
    if (settings.next_ticket_number === undefined) delete fields.next_ticket_number;
    const page = el("section", { class: "card" }, el("h2", null, "General"), can("admin") ? null : notice("", "Only an admin can change these."), el("br"),
      form(fields, { layout: "two", submit: "Save", save: async (v) => {
        if (v.next_ticket_number === settings.next_ticket_number) delete v.next_ticket_number;
        const saved = await api.settings.save({ ...Object.fromEntries(Object.entries(v).filter(([name]) => name in fields)) }, settings.version);
        settings = { ...settings, ...v, ...saved };
        refreshed(settings);
        toast("Saved.");
      } }));
    replace(box, page);
  });
}

function inboundAddress(box, { api, settings, signal }) {
  const address = settings.inbound_address;
  const result = el("div", { class: "stack", "aria-live": "polite" });
  let stop = null;
  const check = button("Start the check", async () => {
    stop?.abort();
    stop = new AbortController();
    signal.addEventListener("abort", () => stop.abort());
    const started = new Date(Date.now() - 5000).toISOString();
    replace(result, el("div", { class: "notice" }, el("span", { class: "spin" }), el("div", { class: "grow" }, el("p", null, "Now send a mail from another account (your private one, a phone) to your support address. This page watches for it."), el("p", { class: "small" }, "Forwarding usually takes less than a minute."))));
    const { signal: mine } = stop;
    const end = setTimeout(() => { stop.abort(); replace(result, notice("warn", "Nothing arrived within ten minutes. Look whether the forward rule is on, whether its confirmation mail was answered, and in the support mailbox itself whether the mail came there.")); }, 600_000);
    const look = poll(async () => {
      const page = await api.inbound.list({ limit: 5 }, mine);
      const came = page.items.find((record) => record.received_at >= started);
      if (!came) return;
      clearTimeout(end);
      stop.abort();
      replace(result, notice("good", el("p", null, el("strong", null, "Received."), ` “${came.subject || "(no subject)"}” from ${came.sender || "nobody"}: `, came.outcome_words ?? came.outcome, "."),
        el("p", null, came.ticket_number ? el("a", { href: `/tickets/${came.ticket_number}` }, `Open ticket #${came.ticket_number}`) : el("a", { href: `/settings/received/${encodeURIComponent(came.id)}` }, "See why"))));
    }, 3, mine);
    look();
  }, { image: "retry" });
  replace(box, el("section", { class: "card stack" }, el("h2", null, "Inbound address"), el("p", { class: "soft" }, "Mail to this address becomes a ticket. Customers never see it: let your support address forward to it."), copyable(address, "address")),
    el("section", { class: "card ways" }, el("h2", null, "Forward your support address"), el("p", { class: "soft" }, "Where is your mailbox?"), FORWARDS.map(([name, steps]) => el("details", null, el("summary", null, name), el("ol", { class: "steps" }, steps.map((step) => el("li", null, step.replaceAll("{address}", address))))))),
    el("section", { class: "card stack" }, el("h2", null, "Does it arrive?"), el("p", { class: "soft" }, "Send a test mail now and see it come in."), el("div", { class: "actions" }, check), result));
}

function templates(box, { api, signal }) {
  const kinds = [["confirmation", "Confirmation to the customer"], ["notification", "Notification to the team"], ["ticket_update", "Answer to the customer"], ["invoice", "Invoice"], ["quote", "Quote"], ["message", "Message"], ["magic_link", "Sign-in link"], ["invitation", "Invitation"]];
  const shown = el("div", { class: "stack" });
  const choose = el("select", { "aria-label": "Kind of mail", on: { change: () => show() } }, kinds.map(([value, words]) => el("option", { value }, words)));
  async function show() {
    replace(shown, waiting());
    try {
      const mail = await api.settings.preview(choose.value, signal);
      replace(shown, el("dl", { class: "pairs" }, [["From", mail.from], ["Subject", mail.subject]].filter(([, v]) => v).map(([k, v]) => [el("dt", null, k), el("dd", null, v)])),
        mailFrame(mail.html, { title: "Preview of the mail", least: 520, findImages: async () => ({}) }), el("details", null, el("summary", null, "As plain text"), el("pre", { class: "transcript" }, mail.text)));
    } catch (problem) { if (problem.name !== "AbortError") replace(shown, failure(problem, show)); }
  }
  replace(box, el("section", { class: "card stack" }, el("h2", null, "How your mails look"), el("p", { class: "soft" }, "Name, logo, colour, language and footer come from General."), choose, shown));
  return show();
}

function members(box, { api, can, client, signal }) {
  const list = paged(() => api.members.list(signal), (member) => el("li", null,
    el("div", { class: "grow" }, el("div", { class: "name" }, member.name || member.email), el("div", { class: "soft small" }, member.email)),
    member.notify ? null : el("span", { class: "tag" }, "Not told of new mail"),
    el("span", { class: "tag" }, plain(member.role)),
    can("admin") ? button("Change", () => change(member), { kind: "slim" }) : null), () => empty("user", "Nobody yet", "Invite the people who answer mail."));
  const role = (value) => field("Role", { name: "role", kind: "select", value, options: [["technician", "Technician: answers tickets"], ["admin", "Admin: answers tickets and changes settings"]] });
  const told = (value) => field("Is told of new mail", { name: "notify", kind: "check", value });
  function invite() {
    return dialog("Invite somebody", (close) => form({ email: field("E-mail address", { name: "email", kind: "email", required: true }), name: field("Name", { name: "name", maxlength: "100" }), role: role("technician"), notify: told(true) }, { submit: "Send invitation", save: async (v) => {
      await api.members.invite({ ...v, email: v.email.trim() });
      close();
      toast(`An invitation is on its way to ${v.email}.`);
      list.again();
    } }));
  }
  function change(member) {
    const self = member.email === client.user.email;
    return dialog(member.name || member.email, (close) => form({ name: field("Name", { name: "name", value: member.name, maxlength: "100" }), role: role(member.role), notify: told(member.notify) }, { submit: "Save", more: self ? [] : [button("Mail the invitation again", async () => { await api.members.again(member.email); toast(`An invitation is on its way to ${member.email}.`); }, { kind: "quiet" }), button("Remove", async () => {
      if (!await confirm(`Remove ${member.email}?`, "They are signed out and their answers by mail are no longer published. Tickets stay.", { yes: "Remove", danger: true })) return;
      await api.members.drop(member.email);
      close();
      list.again();
    }, { kind: "danger quiet" })], save: async (v) => { await api.members.change(member.email, v); close(); toast("Saved."); list.again(); } }));
  }
  replace(box, el("section", { class: "card" }, el("div", { class: "head" }, el("h2", { class: "grow" }, "Members"), can("admin") ? button("Invite", invite, { image: "plus" }) : null), list));
}

function blocked(box, { api, signal }) {
  const list = paged((cursor) => api.clients.list({ blocked: true, cursor }, signal), (who) => el("li", null, el("div", { class: "grow" }, el("div", { class: "name" }, who.name || who.email), el("div", { class: "soft small" }, who.email)),
    button("Unblock", async () => { await api.clients.change(who.id, { blocked: false }); toast(`${who.email} may write again.`); list.again(); }, { kind: "slim" })), () => empty("shield", "Nobody is blocked", "You can block a sender from the menu of their ticket."));
  const block = () => dialog("Block an address", (close) => form({ email: field("E-mail address", { name: "email", kind: "email", required: true }) }, { submit: "Block", save: async (v) => {
    await api.clients.create({ email: v.email.trim(), blocked: true });
    close();
    toast(`${v.email.trim()} is blocked.`);
    list.again();
  } }));
  replace(box, el("section", { class: "card" }, el("div", { class: "head" }, el("h2", { class: "grow" }, "Blocked senders"), button("Block an address", block, { image: "plus" })), el("p", { class: "soft" }, "Their mail is recorded and goes no further. After unblocking, what came can be replayed under Received."), list));
}

export function suppressions(box, { api, signal, can }) {
  const list = paged((cursor) => api.suppressions.list({ cursor }, signal), (one) => el("li", null, el("div", { class: "grow" }, el("div", { class: "name" }, one.email), el("div", { class: "soft small" }, [plain(one.reason), one.detail].filter(Boolean).join(": "), one.expires_at ? [" · until ", moment(one.expires_at)] : "")),
    can("technician") ? null : button("Lift", async () => { await api.suppressions.lift(one.email); toast(`Mail to ${one.email} goes out again.`); list.again(); }, { kind: "slim" })), () => empty("mail", "No address is suppressed", "When mail to an address comes back for good, nothing more is sent to it until you lift it here."));
  replace(box, el("section", { class: "card" }, el("h2", null, "Suppressed addresses"), el("p", { class: "soft" }, "Mail to these came back or was reported as spam, so none is sent. Sending on would harm the delivery of all your mail."), list));
}

const FINE = new Set(["ticket_created", "ticket_forwarded_by_member", "comment_client", "comment_team", "operator_forwarded"]);
const WAITS = new Set(["comment_held", "note_unverified", "ticket_spam", "machine_recorded", "bounce_recorded", "duplicate", "bounce_unmatched"]);
export const outcomeTag = (outcome) => el("span", { class: `tag ${FINE.has(outcome) ? "good" : WAITS.has(outcome) ? "" : "warn"}` }, plain(outcome));

export function received(box, context, record = null) {
  const { api, signal, can } = context;
  const base = can("operator") ? "/operator/received" : "/settings/received";
  if (record) {
    replace(box, waiting());
    return api.inbound.open(record, signal).then((one) => replace(box, el("section", { class: "card stack" },
      el("div", { class: "head" }, el("a", { class: "button quiet square", href: base, "aria-label": "Back to the list" }, icon("back")), el("h2", { class: "grow" }, one.subject || "(no subject)")),
      whyBox(one),
      el("div", { class: "actions" }, one.ticket_number && !can("operator") ? el("a", { class: "button", href: `/tickets/${one.ticket_number}` }, `Ticket #${one.ticket_number}`) : null,
        button("Raw mail", () => download(() => api.inbound.raw(one.id)), { image: "file" }),
        one.replayable && !can("technician") ? button("Replay", async () => { const answer = await api.inbound.replay(one.id); toast(answer.changed ? `Decided anew: ${plain(answer.after)}.` : "Decided anew, with the same result."); await received(box, context, record); }, { image: "retry" }) : null),
      el("p", { class: "soft small" }, one.replayable ? "A replay decides the mail anew with today's settings. Nothing is made twice." : "Something was made of this mail, so there is nothing to replay."))));
  }
  const list = paged((cursor) => api.inbound.list({ cursor, limit: 30 }, signal), (one) => el("li", null, el("a", { class: "grow", href: `${base}/${encodeURIComponent(one.id)}` }, el("div", { class: "name" }, one.subject || "(no subject)"), el("div", { class: "soft small" }, one.sender || "no sender", " → ", one.envelope_recipient)), outcomeTag(one.outcome), el("span", { class: "soft small" }, moment(one.received_at))), () => empty("mail", "No mail yet", "Every mail that reaches your address is listed here, with what became of it and why."));
  replace(box, el("section", { class: "card" }, el("h2", null, "Every mail received, and why"), list));
  return null;
}

// What kind of mail it was, and by which way it went.
export const KINDS = { confirmation: "Confirmation", notification: "Notification to the team", ticket_update: "Answer", invoice: "Invoice", quote: "Quote", message: "Message", test: "Test", magic_link: "Sign-in link", invitation: "Invitation", explanation: "Explanation", operator_forward: "Forwarded to the operator" };
const TRANSPORTS = { ses: " · by the shared address", smtp: " · by your own SMTP" };

export function sent(box, { api, can, signal }) {
  const list = paged((cursor) => api.emails.list({ cursor, limit: 30 }, signal), (one) => el("li", null, el("div", { class: "grow" }, el("div", { class: "name" }, one.subject || KINDS[one.kind]), el("div", { class: "soft small" }, KINDS[one.kind] ?? plain(one.kind), TRANSPORTS[one.transport] ?? "", one.ticket_number ? [" · ", el("a", { href: `/tickets/${one.ticket_number}` }, `#${one.ticket_number}`)] : ""),
    deliveries([one], can("operator") ? null : async (mail) => { await api.emails.retry(mail.id); toast("It is sent again."); list.again(); })), el("span", { class: "soft small" }, moment(one.created_at))), () => empty("send", "Nothing here", "Mails that went out are listed here with their state."));
  replace(box, el("section", { class: "card" }, el("h2", null, "E-mails sent"), list));
}

const PAGES = [
  ["general", "General", general], ["inbound-address", "Inbound address", inboundAddress], ["outbound", "Outbound Email (SMTP)", (box, context) => outboundCard(box, context)],
  ["templates", "Mail preview", templates], ["members", "Members", members], ["blocked", "Blocked senders", blocked], ["suppressions", "Suppressions", suppressions],
  ["received", "Received", received], ["sent", "Sent", sent],
];

/** Pages under one heading with a row of links; shared with the operator's portal. */
export function sections(main, context, base, title, pages) {
  const heading = el("h1", { class: "grow", tabindex: "-1" }, title);
  const nav = el("nav", { class: "sub tabs", "aria-label": title }, pages.map(([name, words]) => el("a", { href: `${base}/${name}`, dataset: { name } }, words)));
  const box = el("div", null);
  main.append(el("div", { class: "page sections" }, el("div", { class: "head" }, heading), nav, box));
  let controller = null;
  async function update({ page, record }) {
    controller?.abort();
    controller = new AbortController();
    context.signal.addEventListener("abort", () => controller.abort());
    const found = pages.find(([name]) => name === (page ?? pages[0][0]));
    if (!found) { replace(box, failure({ status: 404 })); return; }
    for (const link of nav.children) { if (link.dataset.name === found[0]) { link.setAttribute("aria-current", "page"); nav.scrollLeft = link.offsetLeft - nav.clientWidth / 3; } else link.removeAttribute("aria-current"); }
    titled(found[1], page ? null : heading);
    replace(box, waiting());
    try { await found[2](box, { ...context, signal: controller.signal }, record ? decodeURIComponent(record) : null); } catch (problem) {
      if (problem.name === "AbortError") return;
      if (problem.status === undefined) console.error(problem);
      replace(box, failure(problem, () => update({ page, record })));
    }
  }
  return { update, leave: () => controller?.abort() };
}

export const open = (main, context) => sections(main, context, "/settings", "Settings", PAGES);
