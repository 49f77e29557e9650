// The signed-in person: name, colours, shortcuts, a second factor, sign-out.

import { auth } from "./api.js";
import { el, replace } from "./el.js";
import { context as shared, keys, leave, titled } from "./team.js";
import { button, copyable, dialog, field, form, theme, toast } from "./ui.js";

export function open(main, { client, can }) {
  const calls = auth(client);
  const { user } = client;
  const heading = el("h1", { class: "grow", tabindex: "-1" }, "Account");
  const me = shared.members.find((m) => m.email === user.email);

  function totp() {
    return calls.totpBegin().then(({ secret, uri }) => dialog("Set up an authenticator", (close) => [
      el("ol", { class: "steps" }, el("li", null, "Open your authenticator app and add an account by its key."), el("li", null, "Enter the code that it shows.")), el("br"),
      copyable(secret, "key"), el("p", { class: "small soft mono" }, uri), el("br"),
      form({ code: field("Code", { name: "code", inputmode: "numeric", autocomplete: "one-time-code", maxlength: "7", required: true }) }, { submit: "Turn on", save: async (v) => {
        await calls.totpConfirm(v.code.replace(/\s/g, ""));
        close();
        toast("From now on every sign-in asks for a code.");
      } })]));
  }

  const profile = can("operator") ? null : form({
    name: field("Name", { name: "name", value: user.name, required: true, maxlength: "100", hint: "Customers see it on your answers." }),
    notify: field("Tell me of new mail", { name: "notify", kind: "check", value: me?.notify }),
  }, { submit: "Save", save: async (v) => {
    const saved = await calls.changeMe(v);
    client.keep({ ...client.session, user: { ...user, name: saved.name } });
    if (me) Object.assign(me, saved);
    toast("Saved.");
  } });

  replace(main, el("div", { class: "page" }, el("div", { class: "head" }, heading),
    el("section", { class: "card stack" }, el("h2", null, user.name || user.email), el("dl", { class: "pairs" }, [["E-mail", user.email], ["Role", user.role], ["Organisation", shared.settings?.name]].filter(([, v]) => v).map(([k, v]) => [el("dt", null, k), el("dd", null, v)])),
      profile, el("div", { class: "actions" }, button("Sign out", leave, { image: "out" }))),
    el("section", { class: "card stack" }, el("h2", null, "This device"), el("div", { class: "actions" }, button("Change colours", () => theme(true), { image: "sun" }), button("Keyboard shortcuts", () => { keys(); }, { image: "help" }))),
    el("section", { class: "card stack" }, el("h2", null, "Second factor"), el("p", { class: "soft" }, "A code from an authenticator app besides the password. Whoever finds out your password still cannot sign in."),
      el("div", { class: "actions" }, button("Set up an authenticator", totp, { image: "shield" }), button("Turn off", async () => { await calls.totpEnd(); toast("Sign-in asks for the password alone."); }, { kind: "quiet" })))));
  return { update: () => titled("Account", heading) };
}
