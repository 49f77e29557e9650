// Showing a stranger's HTML. The server has sanitised it; here it gets a frame that may run nothing, send
// nothing and load nothing by itself, with a CSP of its own. Each of these walls holds without the others.

import { el, icon } from "./el.js";

const INLINE = /^data:image\/(?:png|jpe?g|gif|webp)[;,]/i;

// Paper, whatever the portal's own colours are. As attributes: the frame may load no style sheet.
const PAPER = "margin:12px;font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Liberation Sans',sans-serif;color:#1a1f28;background:#fff;overflow-wrap:anywhere";

const policy = (images) => `default-src 'none'; img-src ${images}; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'`;

const styled = (node, more) => node.setAttribute("style", `${node.getAttribute("style") ?? ""};${more}`);

/**
 * The document for the frame. `images` maps a Content-ID to an address the browser may fetch; with `remote`
 * what waits in data-src is loaded. The text is parsed in a document that runs and loads nothing.
 */
function mailDocument(html, images, remote) {
  // Style sheets go first: the portal's policy refuses them, and says so for each.
  const inert = new DOMParser().parseFromString(html.replace(/<style\b[\s\S]*?<\/style\s*>/gi, ""), "text/html");
  for (const node of inert.querySelectorAll("script, style, link, meta, base, iframe, frame, object, embed, form, svg, math, template, audio, video")) node.remove();
  let waiting = 0;
  for (const image of inert.querySelectorAll("img")) {
    const source = image.getAttribute("src") ?? "";
    const cid = /^cid:(.*)$/i.exec(source)?.[1];
    let name = cid;
    try { name = decodeURIComponent(cid ?? ""); } catch { /* keep it as it was written */ }
    if (cid !== undefined) {
      if (images[name] || images[cid]) image.setAttribute("src", images[name] ?? images[cid]);
      else image.removeAttribute("src");
    } else if (source && !INLINE.test(source) && !remote) image.removeAttribute("src");
    const far = image.getAttribute("data-src");
    if (far && /^(?:https?:)?\/\//i.test(far)) {
      if (remote) image.setAttribute("src", far.replace(/^(?:http:)?\/\//i, "https://"));
      else waiting += 1;
    }
  }
  for (const image of inert.images) styled(image, "max-width:100%");
  for (const text of inert.querySelectorAll("pre")) styled(text, "white-space:pre-wrap");
  for (const link of inert.querySelectorAll("a[href]")) {
    link.setAttribute("target", "_blank");
    link.setAttribute("rel", "noopener noreferrer nofollow");
  }
  const doc = document.implementation.createHTMLDocument("Mail");
  const meta = doc.createElement("meta");
  meta.setAttribute("http-equiv", "Content-Security-Policy");
  const own = [...new Set(Object.values(images).map((address) => new URL(address, location.href).origin).filter((o) => o !== "null"))];
  meta.setAttribute("content", policy(["data:", ...own, ...(remote ? ["https:"] : [])].join(" ")));
  const referrer = doc.createElement("meta");
  referrer.setAttribute("name", "referrer");
  referrer.setAttribute("content", "no-referrer");
  doc.head.prepend(meta, referrer);
  doc.body.setAttribute("style", PAPER);
  doc.body.replaceChildren(...[...inert.body.childNodes].map((node) => doc.importNode(node, true)));
  return { text: `<!doctype html>${doc.documentElement.outerHTML}`, waiting, length: doc.body.textContent.length, pictures: doc.images.length };
}

/** A block with the mail as its sender laid it out. `findImages` answers {content id: address}, asked only when needed. */
export function mailFrame(html, { title, findImages, least = 140 }) {
  const offer = el("div", { class: "small soft offer", hidden: true });
  const place = el("div", { role: "status" }, "…");
  // A frame for each showing: one that is given a second document before it drew the first may stay blank.
  function show(images, remote) {
    const frame = el("iframe", { class: "mail-frame", sandbox: "allow-popups allow-popups-to-escape-sandbox", title, referrerpolicy: "no-referrer" });
    const made = mailDocument(html, images, remote);
    frame.srcdoc = made.text;
    // The frame is a stranger to us, so its height cannot be measured: an estimate, and a corner to drag.
    const guess = 60 + Math.ceil(made.length / 70) * 24 + made.pictures * 80;
    frame.style.setProperty("height", `${Math.min(Math.max(guess, least), Math.round(innerHeight * 0.7))}px`);
    offer.hidden = made.waiting === 0;
    offer.replaceChildren(icon("image"), el("span", { class: "grow" }, `${made.waiting} ${made.waiting === 1 ? "picture from the web is" : "pictures from the web are"} not loaded: loading tells the sender that you read the mail.`),
      el("button", { type: "button", class: "button slim", on: { click: () => show(images, true).focus() } }, "Load pictures"));
    place.replaceChildren(frame);
    return frame;
  }
  const inside = /src\s*=\s*["']?cid:/i.test(html) ? findImages().catch(() => ({})) : Promise.resolve({});
  inside.then((images) => requestAnimationFrame(() => show(images, false)));
  return el("div", { class: "mail-box" }, offer, place);
}
