// What a conversation is made of, for the team and for customers: states, words, files, deliveries.

import { el, icon, linked, size } from "./el.js";
import { mailFrame } from "./frame.js";
import { busy, button, confirm } from "./ui.js";

export const STATUS = { open: ["Open", "brand"], pending: ["Pending", "warn"], closed: ["Closed", ""], spam: ["Spam", "bad"], merged: ["Merged", ""] };
export const statusTag = (status) => el("span", { class: `tag ${STATUS[status]?.[1] ?? ""}` }, STATUS[status]?.[0] ?? status);

// Words for a delivery: how it looks, what it says.
const DELIVERY = {
  queued: ["", "clock", "Waiting to be sent to"], sending: ["", "clock", "Being sent to"],
  accepted: ["good", "check", "Taken by the mail server for"], delivered: ["good", "check", "Delivered to"],
  deferred: ["warn", "clock", "Tried, and will be tried again, for"], unknown: ["warn", "warn", "Handed over, but the server never confirmed, for"],
  bounced: ["bad", "warn", "Came back from"], complained: ["bad", "warn", "Reported as spam by"],
  suppressed: ["bad", "warn", "Not sent: suppressed address"], failed: ["bad", "warn", "Could not be sent to"],
};
const PICTURE = /^image\/(?:png|jpe?g|gif|webp)$/i;

/** The lines under a comment that say whom it reached. retry(delivery) or null. */
export function deliveries(list, retry) {
  if (!list?.length) return null;
  return el("ul", { class: "sent", "aria-label": "Delivery" }, list.map((one) => {
    const [kind, image, words] = DELIVERY[one.state] ?? ["", "clock", one.state];
    const said = [one.detail && `The server said: ${one.detail}`, one.remedy].filter(Boolean);
    return el("li", { class: kind, dataset: { state: one.state } }, icon(image), el("span", null, `${words} ${one.recipient}`),
      one.shared_address && one.state !== "queued" ? el("span", { class: "tag warn", title: "Your own SMTP account could not be used" }, "by the shared address") : null,
      retry && one.retryable ? button(one.state === "unknown" ? "Send again" : "Retry", () => retry(one), { kind: "slim", image: "retry" }) : null,
      said.length && kind !== "good" ? el("div", { class: `said ${kind === "warn" ? "warn" : ""}` }, said.map((words) => el("p", null, words))) : null);
  }));
}

/** Attachments; pictures are shown small. address(file) answers where the browser may fetch it. */
export function fileList(files, address) {
  const shown = files.filter((file) => !file.inline);
  if (!shown.length) return null;
  return el("ul", { class: "files", "aria-label": "Attachments" }, shown.map((file) => {
    const open = el("button", { type: "button", class: "file", title: file.filename, on: { click: () => busy(open, () => save(file, address)) } },
      icon("file"), el("span", null, el("span", { class: "cut" }, file.filename || "unnamed"), el("span", { class: "soft small" }, size(file.size_bytes), file.dangerous ? " · may be harmful" : "")));
    if (PICTURE.test(file.content_type) && !file.dangerous && file.size_bytes < 5e6) {
      address(file).then((url) => { const image = el("img", { src: url, alt: "" }); image.addEventListener("load", () => open.querySelector(".icon")?.replaceWith(image)); }, () => {});
    }
    return el("li", null, open);
  }));
}

async function save(file, address) {
  if (file.dangerous && !await confirm("This file may be harmful", `“${file.filename}” is of a kind that can run programs. Only open it if you expected it from this sender.`, { yes: "Download anyway", danger: true })) return;
  const link = el("a", { href: await address(file), download: file.filename, rel: "noopener noreferrer", target: "_blank" });
  link.click();
}

/** The words of a comment, with what was folded away one click below. */
export function words(comment, address) {
  const nodes = [el("div", { class: "text" }, comment.text ? linked(comment.text) : el("span", { class: "soft" }, comment.files?.length ? "(only attachments)" : "(no text)"))];
  const fold = (label, build) => {
    const details = el("details", null, el("summary", null, label));
    details.addEventListener("toggle", () => { if (details.open && details.children.length === 1) details.append(build()); });
    nodes.push(details);
  };
  if (comment.signature) fold("Signature", () => el("div", { class: "folded" }, linked(comment.signature)));
  if (comment.quoted_text) fold("Quoted text", () => el("div", { class: "folded" }, linked(comment.quoted_text)));
  if (comment.html) {
    fold("Original mail as it was laid out", () => mailFrame(comment.html, { title: `Mail from ${comment.author_name || comment.author_email}`, findImages: async () => {
      const inline = (comment.files ?? []).filter((file) => file.content_id && PICTURE.test(file.content_type));
      return Object.fromEntries(await Promise.all(inline.map(async (file) => [file.content_id, await address(file)])));
    } }));
  } else if (comment.full_text && comment.full_text.trim() !== comment.text.trim()) fold("Original text", () => el("div", { class: "folded" }, linked(comment.full_text)));
  return nodes;
}
