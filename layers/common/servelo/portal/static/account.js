// The signed-in person: name, colours, shortcuts, a second factor, sign-out.

import { auth } from "./api.js";
import { el, icon, plain, replace } from "./el.js";
import { context as shared, keys, leave, titled } from "./team.js";
import { button, copyable, dialog, failure, field, form, theme, toast, waiting } from "./ui.js";

const SVG = "http://www.w3.org/2000/svg";

/** A picture of a QR code, dark on light whatever the page's colours are: cameras expect it so. */
function qrCode({ data, size }) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", `0 0 ${size} ${size}`);
  svg.setAttribute("class", "qr");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", "QR code of the key");
  path.setAttribute("d", data.flatMap((row, y) => row.flatMap((dark, x) => (dark ? [`M${x} ${y}h1v1h-1z`] : []))).join(""));
  svg.append(path);
  return svg;
}

export function open(main, { client, can }) {
  const calls = auth(client);
  const { user } = client;
  const heading = el("h1", { class: "grow", tabindex: "-1" }, "Account");
  const me = shared.members.find((m) => m.email === user.email);

  const factor = el("div", { class: "stack" }, waiting());

  async function showFactor() {
    try {
      const { enabled } = await calls.totp();
      replace(factor, el("p", { class: "row" }, el("span", { class: `tag ${enabled ? "good" : ""}` }, enabled ? [icon("check"), "On"] : "Off"), el("span", { class: "soft" }, enabled ? "Sign-in asks for a code besides the password." : "Sign-in asks for the password alone.")),
        el("div", { class: "actions" }, enabled ? button("Turn off", turnOff, { kind: "danger" }) : button("Set up an authenticator", totp, { image: "shield", kind: "main" })));
    } catch (problem) { if (problem.name !== "AbortError") replace(factor, failure(problem, showFactor)); }
  }

  async function turnOff() {
    await dialog("Turn the second factor off?", (close) => el("div", { class: "stack" },
      el("p", null, "Whoever knows your password can then sign in."),
      form({
        password: field("Password", { name: "password", kind: "password", autocomplete: "current-password", maxlength: "256", required: true }),
        code: field("Code", { name: "code", inputmode: "numeric", autocomplete: "one-time-code", maxlength: "7", required: true, hint: "The six digits that your app shows now." }),
      }, { submit: "Turn off", save: async (v) => {
        await calls.totpEnd(v.password, v.code.replace(/\s/g, ""));
        close();
        toast("Sign-in asks for the password alone.");
        await showFactor();
      } })));
  }

  async function totp() {
    const [{ secret, uri }, { encode }] = await Promise.all([calls.totpBegin(), import("./qr.js")]);
    await dialog("Set up an authenticator", (close) => el("div", { class: "stack" },
      el("ol", { class: "steps" }, el("li", null, "Scan this with your authenticator app, or add an account there by the key below."), el("li", null, "Type the code that it shows.")),
      qrCode(encode(uri, { border: 2 })),
      copyable(secret.match(/.{1,4}/g).join(" "), "key"),
      form({ code: field("Code", { name: "code", inputmode: "numeric", autocomplete: "one-time-code", maxlength: "7", required: true, hint: "Six digits, new every 30 seconds." }) }, { submit: "Turn on", save: async (v) => {
        await calls.totpConfirm(v.code.replace(/\s/g, ""));
        close();
        toast("From now on every sign-in asks for a code.");
        await showFactor();
      } })));
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
    el("section", { class: "card stack" }, el("h2", null, user.name || user.email), el("dl", { class: "pairs" }, [["E-mail", user.email], ["Role", plain(user.role)], ["Organisation", shared.settings?.name]].filter(([, v]) => v).map(([k, v]) => [el("dt", null, k), el("dd", null, v)])),
      profile, el("div", { class: "actions" }, button("Sign out", leave, { image: "out" }))),
    el("section", { class: "card stack" }, el("h2", null, "This device"), el("div", { class: "actions" }, button("Change colours", () => theme(true), { image: "sun" }), button("Keyboard shortcuts", () => { keys(); }, { image: "help" }))),
    el("section", { class: "card stack" }, el("h2", null, "Second factor"), el("p", { class: "soft" }, "A code from an authenticator app besides the password: whoever finds out your password still cannot sign in. If you lose the app, an admin removes you and invites you again."), factor)));
  showFactor();
  return { update: () => titled("Account", heading) };
}
