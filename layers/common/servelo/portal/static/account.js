// The signed-in person: who they are, colours, shortcuts, a second factor, sign-out.

import { el, replace } from "./el.js";
import { keys, leave, titled } from "./team.js";
import { button, copyable, dialog, field, form, notice, theme, toast } from "./ui.js";

export function open(main, { client, api }) {
  const user = client.user;
  const heading = el("h1", { tabindex: "-1" }, "Account");
  function draw() {
    replace(main, el("div", { class: "page" }, el("div", { class: "head" }, heading),
      el("section", { class: "card stack" }, el("h2", null, user.name || user.email), el("dl", { class: "pairs" }, [["E-mail", user.email], ["Role", user.role], ["Organisation", user.tenant ?? user.slug]].filter(([, v]) => v).map(([k, v]) => [el("dt", null, k), el("dd", null, v)])),
        el("div", { class: "actions" }, button("Sign out", leave, { image: "out" }))),
      el("section", { class: "card stack" }, el("h2", null, "This device"), el("div", { class: "actions" }, button("Change colours", () => theme(true), { image: "sun" }), button("Keyboard shortcuts", keys, { image: "help" }))),
      el("section", { class: "card stack" }, el("h2", null, "Second factor"), el("p", { class: "soft" }, "A code from an authenticator app besides the password. Whoever finds out your password still cannot sign in."), el("div", { class: "actions" }, button("Set up an authenticator", totp, { image: "shield" })))));
  }
  async function totp() {
    const { secret, uri } = await api.totp.begin(client.session);
    await dialog("Set up an authenticator", (close) => [
      el("ol", { class: "steps" }, el("li", null, "Open your authenticator app and add an account by its key."), el("li", null, "Enter the code that it shows.")), el("br"),
      copyable(secret, "key"), uri ? el("p", { class: "small" }, el("a", { href: uri }, "Open in an app on this device")) : null, el("br"),
      form({ code: field("Code", { name: "code", inputmode: "numeric", autocomplete: "one-time-code", maxlength: "6", required: true }) }, { submit: "Turn on", save: async (v) => { await api.totp.finish(client.session, v.code.replace(/\s/g, "")); close(); toast("The second factor is on."); replace(heading.nextSibling ?? heading, notice("good", "On")); draw(); } })]);
  }
  draw();
  return { update: () => titled("Account", heading) };
}
