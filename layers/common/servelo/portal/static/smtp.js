// Outbound Email (SMTP): Set Up, Send Test, Save, Configure, Disconnect.

import { Problem } from "./api.js";
import { el, icon, moment, person, replace } from "./el.js";
import { busy, button, confirm, field, notice, showProblem, toast, values } from "./ui.js";

const STAGES = [["dns", "Find the server"], ["connect", "Connect"], ["tls", "Encrypt"], ["ehlo", "Greet"], ["auth", "Sign in"], ["mail_from", "Sender"], ["rcpt", "Recipient"], ["data", "Hand over"]];

/** What Send Test found: how far it came, what to mend and how, and what was said on the wire. */
function testResult(result, fields) {
  const failed = STAGES.findIndex(([stage]) => stage === result.stage);
  const strip = el("ol", { class: "row stages", "aria-label": "Stages" }, STAGES.map(([, words], at) => {
    const state = result.ok || at < failed ? ["good", "check", "done"] : at === failed ? ["bad", "cross", "failed"] : ["", null, "not reached"];
    return el("li", { class: `tag ${state[0]}` }, state[1] ? icon(state[1]) : null, words, el("span", { class: "sr" }, `, ${state[2]}`));
  }));
  if (!result.ok && result.field && fields?.[result.field]) fields[result.field].wrong(result.summary || "Check this value.");
  return el("div", { class: "stack", dataset: { stage: result.stage, ok: String(result.ok) } }, strip,
    result.ok ? notice("good", el("strong", null, "The test mail was accepted. "), result.recipient ? `Look into the inbox of ${result.recipient}.` : "Look into your inbox.")
      : notice("bad", el("strong", null, result.summary || "The test mail could not be sent."), result.remedy ? el("p", null, el("strong", null, "What to do: "), result.remedy) : null),
    result.ok && result.remedy ? notice("warn", result.remedy) : null,
    result.transcript?.length ? el("details", null, el("summary", null, "What was said between us and the server"), el("pre", { class: "transcript", tabindex: "0" }, result.transcript.join("\n"))) : null);
}

/** Asks how the test mail arrived until it has, or two minutes are over; says it below the result. */
async function tellArrival(result, id, { api, signal }) {
  if (!id) return;
  const line = el("div", { class: "stack", dataset: { arrival: "waiting" } }, el("div", { class: "notice" }, el("span", { class: "spin" }), "Waiting for a copy of the test mail, to see what receivers make of it. You need not wait: Save already works."));
  result.append(line);
  for (const end = Date.now() + 120000; Date.now() < end && !signal.aborted;) {
    await new Promise((go) => setTimeout(go, 3000));
    if (!line.isConnected) return;
    let found;
    try { found = await api.settings.arrival(id, signal); } catch { continue; }
    if (found.state !== "arrived") continue;
    line.dataset.arrival = found.code;
    replace(line, found.code === "aligned" ? notice("good", found.summary) : notice("warn", el("strong", null, found.summary), found.remedy ? el("p", null, el("strong", null, "What to do: "), found.remedy) : null));
    return;
  }
  line.dataset.arrival = "none";
  replace(line, notice("", "No copy of the test mail has arrived here, so it cannot be seen whether From stays as it is and whether receivers trust it. Look at the mail in your inbox: its sender should be your From email, without “via”."));
}

export async function outboundCard(box, { api, can, settings, signal }) {
  if (!can("admin")) {
    replace(box, el("section", { class: "card stack" }, el("h2", null, "Outbound Email (SMTP)"), notice("", "Only an admin sees and changes the account that mail goes out through.")));
    return;
  }
  const [smtp, { items: providers }] = await Promise.all([api.settings.smtp(signal), api.settings.providers(signal)]);
  const shared = smtp.shared_address;

  function card(...content) {
    replace(box, el("section", { class: "card stack", "aria-labelledby": "smtp-title" }, el("h2", { id: "smtp-title" }, "Outbound Email (SMTP)"), content));
  }

  function summary(now) {
    const result = el("div", { "aria-live": "polite" });
    if (!now?.connected) {
      card(el("p", { class: "soft" }, `Mail to your customers goes out from our shared address${shared ? ` (${shared})` : ""}. Set up your own account and it comes from your address instead.`),
        el("div", { class: "actions" }, button("Set Up", () => edit(null), { kind: "main" })));
      return;
    }
    card(now.breaker === "open" ? notice("bad", el("strong", null, "Your account refuses our mail. "), now.breaker_reason ? `(${now.breaker_reason.replaceAll("_", " ")}) ` : "", "Meanwhile mail goes out through the shared address; answers still find their ticket.") : notice("good", "Your mail goes out through your own account."),
      el("dl", { class: "pairs" }, [["Server", `${now.host}, port ${now.port}`], ["Username", now.username], ["Password", "saved, never shown"], ["From", person({ name: now.from_name, email: now.from_email || now.username })], ["Last test", now.tested_at ? moment(now.tested_at) : "not with these values"]].map(([k, v]) => [el("dt", null, k), el("dd", null, v)])),
      el("div", { class: "actions" }, button("Configure", () => edit(now)),
        button("Send Test", async () => { replace(result, working()); try { const found = await api.settings.testSmtp({}); replace(result, testResult(found)); tellArrival(result, found.test_id, { api, signal }); } catch (problem) { replace(result); throw problem; } }, { image: "send" }),
        button("Disconnect", async () => {
          if (!await confirm("Disconnect your account?", "Mail goes out from the shared address again. Tickets and their history stay as they are.", { yes: "Disconnect", danger: true })) return;
          await api.settings.dropSmtp();
          toast("Disconnected. Mail goes out from the shared address.");
          summary({ connected: false });
          focusCard();
        }, { kind: "danger" })), result);
  }

  const working = () => el("div", { class: "notice" }, el("span", { class: "spin" }), "Connecting, signing in and sending a mail to your own address. This takes up to 20 seconds.");
  const focusCard = () => box.querySelector("button, input, select")?.focus();

  function edit(now) {
    const preset = (name) => providers.find((p) => p.id === name);
    const fields = {
      provider: field("Provider", { name: "provider", kind: "select", value: now?.provider ?? "custom", options: providers.map((p) => [p.id, p.name]) }),
      host: field("Host", { name: "host", value: now?.host ?? "", required: true, placeholder: "smtp.example.com", autocomplete: "off", spellcheck: "false", maxlength: "253" }),
      port: field("Port", { name: "port", kind: "number", value: now?.port ?? 587, min: "1", max: "65535", required: true, hint: "587 with STARTTLS, or 465 with TLS." }),
      username: field("Username", { name: "username", value: now?.username ?? "", required: true, autocomplete: "off", spellcheck: "false", hint: "Usually the full e-mail address." }),
      password: field("Password", { name: "password", kind: "password", autocomplete: "new-password", required: !now, hint: now ? "Leave empty to keep the saved one." : "Stored encrypted, never shown again." }),
      from_name: field("From name", { name: "from_name", value: now?.from_name ?? settings.name, maxlength: "64" }),
      from_email: field("From email", { name: "from_email", kind: "email", value: now?.from_email ?? "", hint: "Empty: the username. Another address must be allowed there as “Send mail as”." }),
    };
    const advice = el("div", { class: "full" });
    const line = el("div", null);
    const result = el("div", { "aria-live": "polite" });
    const choose = (fill) => {
      const found = preset(fields.provider.input.value);
      const help = [found?.username_help, found?.password_help, found?.alias_help].filter(Boolean);
      replace(advice, help.length ? notice("", help.map((said) => el("p", null, said)), found.help_url ? el("p", null, el("a", { href: found.help_url, target: "_blank", rel: "noopener noreferrer" }, `How to, by ${found.name}`)) : null) : null);
      if (fill && found) { if (found.host) fields.host.input.value = found.host; if (found.port) fields.port.input.value = found.port; fields.host.right(); fields.port.right(); }
    };
    fields.provider.input.addEventListener("change", () => choose(true));
    choose(false);
    const filled = () => {
      replace(line);
      for (const one of Object.values(fields)) one.right();
      const missing = Object.values(fields).find((one) => one.input.getAttribute("aria-required") && !one.input.value.trim());
      if (missing) { missing.wrong("Please fill this in."); missing.input.focus(); return null; }
      const v = values(fields);
      if (!v.password) delete v.password;
      return { ...v, host: v.host.trim(), username: v.username.trim(), from_email: v.from_email.trim() };
    };
    const test = button("Send Test", async () => {
      const v = filled();
      if (!v) return;
      replace(result, working());
      try { const found = await api.settings.testSmtp(v); replace(result, testResult(found, fields)); tellArrival(result, found.test_id, { api, signal }); result.scrollIntoView({ block: "nearest" }); } catch (problem) { replace(result); if (problem instanceof Problem) showProblem(problem, fields, line); else throw problem; }
    }, { image: "send" });
    const saver = el("button", { type: "submit", class: "button main" }, "Save");
    const node = el("form", { novalidate: true, class: "stack", on: { submit: (event) => {
      event.preventDefault();
      busy(saver, async () => {
        const v = filled();
        if (!v) return;
        try { const saved = await api.settings.saveSmtp(v); toast("Saved. The next mail goes out through your account."); summary(saved?.connected ? saved : await api.settings.smtp(signal)); focusCard(); } catch (problem) { if (problem.code === "test_first") replace(line, notice("warn", "Press Send Test first: these values are saved once a test mail went through with them.")); else showProblem(problem, fields, line); }
      });
    } } }, el("div", { class: "fields two" }, fields.provider, advice, fields.host, fields.port, fields.username, fields.password, fields.from_name, fields.from_email), line, result,
    el("div", { class: "actions" }, test, saver, button("Cancel", () => { summary(now); focusCard(); }, { kind: "quiet" })));
    card(el("p", { class: "soft" }, "Try the values with Send Test first: it sends a mail to your own address. Nothing is stored before Save."), node);
    fields.provider.input.focus();
  }

  summary(smtp);
}
