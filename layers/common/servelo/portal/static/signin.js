// Signing in: password, one-time code, the first password of an invited person, a forgotten password.

import { Problem, auth } from "./api.js";
import { el, icon, replace } from "./el.js";
import { dialog, field, form, notice } from "./ui.js";

const PASSWORD_HINT = "At least 12 characters. A sentence is easier to remember than a word.";

/** The steps of signing in, drawn into a box; done(session) once it succeeded. */
function steps(client, box, done, { email = "", lockedEmail = false, first = null } = {}) {
  const calls = auth(client);
  const title = (words) => el("h1", { tabindex: "-1" }, words);
  const back = () => el("button", { type: "button", class: "link", on: { click: () => password() } }, "Back to sign-in");
  const show = (...nodes) => { replace(box, nodes); box.querySelector("input:not([readonly])")?.focus(); };

  function answered(answer, address) {
    if (!answer.challenge) { done(answer); return; }
    if (/NEW_PASSWORD/i.test(answer.challenge)) firstPassword(answer, address);
    else if (/MFA_SETUP/i.test(answer.challenge)) throw new Problem(400, { detail: "An authenticator must be set up first. Ask your administrator." });
    else code(answer, address);
  }

  function password(said = null) {
    const fields = {
      email: field("E-mail address", { name: "email", kind: "email", value: email, autocomplete: "username", required: true, readonly: lockedEmail }),
      password: field("Password", { name: "password", kind: "password", autocomplete: "current-password", required: true }),
    };
    const forgot = el("button", { type: "button", class: "link", on: { click: () => forgotten(fields.email.input.value) } }, "Forgot your password?");
    show(title("Sign in"), said, form(fields, { submit: "Sign in", more: [forgot], save: async (v) => {
      email = v.email.trim();
      answered(await calls.login(email, v.password), email);
    } }));
    if (email) fields.password.input.focus();
  }

  function code(answer, address) {
    const fields = { code: field("Code from your authenticator", { name: "code", inputmode: "numeric", autocomplete: "one-time-code", maxlength: "6", required: true, hint: "Six digits, new every 30 seconds." }) };
    show(title("One more step"), form(fields, { submit: "Continue", more: [back()], save: async (v) => answered(await calls.respond(answer.challenge, answer.session, { email: address, code: v.code.replace(/\s/g, "") }), address) }));
  }

  function firstPassword(answer, address) {
    const fields = { new_password: field("New password", { name: "new_password", kind: "password", autocomplete: "new-password", required: true, hint: PASSWORD_HINT }) };
    show(title("Choose your password"), el("p", { class: "soft" }, "You signed in with a temporary password. Choose your own to go on."), form(fields, { submit: "Save and continue", more: [back()], save: async (v) => answered(await calls.respond(answer.challenge, answer.session, { email: address, new_password: v.new_password }), address) }));
  }

  function forgotten(address) {
    const fields = { email: field("E-mail address", { name: "email", kind: "email", value: address, autocomplete: "username", required: true }) };
    show(title("Forgot your password?"), el("p", { class: "soft" }, "We mail you a link. With it you choose a new password."), form(fields, { submit: "Send the link", more: [back()], save: async (v) => {
      await calls.forgot(v.email.trim());
      email = v.email.trim();
      show(title("Look into your inbox"), notice("good", `If ${email} has an account, a link is on its way to it. It is good for one hour.`), back());
    } }));
  }

  password(first);
}

export const sign = () => el("span", { class: "sign" }, icon("mail"));

/** The page behind the link of an invitation or of a forgotten password. The token is already out of the address. */
export function choosePassword(client, token, welcome) {
  return new Promise((done) => {
    const fields = { password: field("New password", { name: "password", kind: "password", autocomplete: "new-password", required: true, hint: PASSWORD_HINT }) };
    const title = welcome ? "Welcome" : "Choose a new password";
    replace(document.getElementById("root"), el("main", { class: "alone", id: "main" }, el("div", { class: "card" }, el("div", { class: "logo" }, sign(), "Servelo Mail"), el("div", { class: "stack" },
      el("h1", null, title), el("p", { class: "soft" }, welcome ? "Choose the password that you will sign in with." : "All your older sessions end."),
      token ? form(fields, { submit: "Save", save: async (v) => { await auth(client).reset(token, v.password); done(notice("good", "Your password is set. Sign in with it.")); } }) : notice("bad", "This link is not complete. Open it from the mail again."),
      el("p", null, el("a", { href: "/" }, "To the sign-in"))))));
    document.title = `${title} · Servelo Mail`;
    fields.password.input.focus();
  });
}

/** The page; answers when somebody signed in. */
export function signInPage(client, said = null) {
  return new Promise((done) => {
    const box = el("div", { class: "stack" });
    const root = document.getElementById("root");
    replace(root, el("main", { class: "alone", id: "main" }, el("div", { class: "card" }, el("div", { class: "logo" }, sign(), "Servelo Mail"), box)));
    document.title = "Sign in · Servelo Mail";
    steps(client, box, (session) => { client.keep(session); done(session.user); }, { first: said });
  });
}

/** The session ended while somebody worked: sign in on top of the page, so that nothing on it is lost. */
export function signInDialog(client) {
  const before = client.user;
  return dialog("Your session has ended", (close) => {
    const box = el("div", { class: "stack" });
    steps(client, box, (session) => {
      client.keep(session);
      if (before && session.user && (before.email !== session.user.email)) location.reload();
      close(true);
    }, { email: before?.email ?? "", lockedEmail: Boolean(before?.email) });
    return [el("p", { class: "soft" }, "Sign in again. What you wrote is still there."), box, el("p", null, el("button", { type: "button", class: "link", on: { click: () => { client.keep(null); location.assign("/"); } } }, "Leave instead"))];
  }, { fixed: true });
}
