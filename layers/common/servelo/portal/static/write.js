// Writing an answer or a note. What is written is kept on this device until it was sent.

import { newKey, upload } from "./api.js";
import { el, icon, person, replace, size } from "./el.js";
import { button, busy, notice, toast } from "./ui.js";

export const MAX_FILES = 10;
export const MAX_FILE_BYTES = 10_000_000;

/** Files to send along: chosen, dropped or pasted; each goes to its store at once. Answers {node, picker, ids(), busy(), clear()}. */
export function attachments({ announce, prepared = [], changed = () => {}, signal, words = null }) {
  let files = prepared.map((file) => ({ ...file, done: true }));   // {id, filename, size_bytes, done, share}
  const node = el("ul", { class: "files", "aria-label": "Files to send" });
  const input = el("input", { type: "file", multiple: true, hidden: true, on: { change: () => { take(input.files); input.value = ""; } } });
  const picker = el("span", null, input, button(words?.attach ?? "Attach", () => input.click(), { image: "clip", kind: "quiet" }));

  function draw() {
    replace(node, files.map((file) => el("li", { class: "file" }, icon("file"), el("span", { class: "cut" }, file.filename), file.done ? el("span", { class: "soft" }, size(file.size_bytes)) : file.bar,
      el("button", { type: "button", class: "button quiet square slim", "aria-label": `Remove ${file.filename}`, on: { click: () => { file.stop?.abort(); files = files.filter((other) => other !== file); draw(); changed(); picker.querySelector("button").focus(); } } }, icon("cross")))));
    node.hidden = !files.length;
  }

  async function take(chosen) {
    for (const file of chosen) {
      if (files.length >= MAX_FILES) { toast(`At most ${MAX_FILES} files go with one message.`); return; }
      if (file.size > MAX_FILE_BYTES) { toast(`“${file.name}” is larger than ${size(MAX_FILE_BYTES)}.`); continue; }
      if (!file.size) { toast(`“${file.name}” is empty.`); continue; }
      const one = { filename: file.name, size_bytes: file.size, done: false, stop: new AbortController(), bar: el("progress", { max: "1", value: 0, "aria-label": `Sending ${file.name}` }) };
      files.push(one);
      draw();
      (async () => {
        try {
          const place = await announce(file);
          await upload(place, file, (share) => { one.bar.value = share; }, one.stop.signal);
          one.id = place.id;
          one.done = true;
        } catch (problem) {
          files = files.filter((other) => other !== one);
          if (problem.name !== "AbortError" && !signal?.aborted) toast(`“${file.name}”: ${problem.detail ?? "was not taken."}`);
        }
        draw();
        changed();
      })();
    }
  }

  draw();
  return {
    node, picker, take,
    done: () => files.filter((file) => file.done).map(({ id, filename, size_bytes }) => ({ id, filename, size_bytes })),
    busy: () => files.some((file) => !file.done),
    clear() { files = []; draw(); },
  };
}

/** A draft in localStorage under one name. Storage may be full or forbidden: then it is simply not kept. */
export function draft(name) {
  const key = `servelo:draft:${name}`;
  return {
    read() { try { return JSON.parse(localStorage.getItem(key)); } catch { return null; } },
    keep(value) { try { localStorage.setItem(key, JSON.stringify(value)); } catch { /* see above */ } },
    drop() { try { localStorage.removeItem(key); } catch { /* see above */ } },
  };
}

/** Forget every draft whose name begins so: at sign-out nothing is left for whoever sits here next. */
export function dropDrafts(beginning) {
  try { for (const key of Object.keys(localStorage)) if (key.startsWith(`servelo:draft:${beginning}`)) localStorage.removeItem(key); } catch { /* see above */ }
}

/** Let a text area take dropped and pasted files. */
export function dropZone(node, area, take) {
  node.addEventListener("dragover", (event) => { if ([...event.dataTransfer.types].includes("Files")) { event.preventDefault(); node.classList.add("dropping"); } });
  node.addEventListener("dragleave", () => node.classList.remove("dropping"));
  node.addEventListener("drop", (event) => { event.preventDefault(); node.classList.remove("dropping"); take(event.dataTransfer.files); });
  area.addEventListener("paste", (event) => { if (event.clipboardData.files.length) { event.preventDefault(); take(event.clipboardData.files); } });
}

/** The box below a conversation. */
export function write({ context, ticket, sent, signal }) {
  const { api, client } = context;
  const stored = draft(`${client.user.email}:${context.settings?.slug ?? ""}:${ticket().number}`);
  const old = stored.read();
  let mode = old?.mode === "note" ? "note" : "reply";
  let key = old?.key ?? newKey();
  let timer = 0;

  const area = el("textarea", { rows: "2", maxlength: "100000", value: old?.text ?? "", on: { input: () => { edited(); grow(); }, keydown: (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); send(); } if (event.key === "Escape") area.blur(); } } });
  const files = attachments({ announce: api.uploads, prepared: old?.files ?? [], changed: () => edited(), signal });
  const whoSees = el("div", { class: "who-sees", id: "who-sees" });
  const line = el("div", null);
  const sender = el("button", { type: "button", class: "button main", on: { click: () => send() } }, icon("send"), el("span", null, "Send"));
  const then = el("select", { "aria-label": "Status after sending" }, [["", "then keep the status"], ["pending", "then set to pending"], ["closed", "then close"], ["open", "then set to open"]].map(([value, words]) => el("option", { value }, words)));
  const discard = button("Discard draft", () => { area.value = ""; files.clear(); stored.drop(); key = newKey(); hint.hidden = true; grow(); area.focus(); }, { kind: "quiet slim" });
  const hint = el("span", { class: "soft small row", hidden: !old?.text }, "Draft from before.", discard);
  const tab = (name, image, words) => el("button", { type: "button", dataset: { mode: name }, on: { click: () => { setMode(name); area.focus(); } } }, words);
  const tabs = el("div", { class: "tabs", role: "group", "aria-label": "What to write" }, tab("reply", "send", "Answer"), tab("note", "lock", "Internal note"));
  const node = el("section", { class: "write", "aria-label": "Write" }, tabs, whoSees, area, files.node, line, el("div", { class: "actions" }, sender, files.picker, then, hint));
  dropZone(node, area, files.take);

  // Out of the way until somebody writes; what it says about readers comes with the first touch.
  const idle = () => node.classList.toggle("idle", !node.contains(document.activeElement) && !area.value && !files.done().length && !files.busy() && !line.hasChildNodes());
  // The area alone unfolds it: a button that moves between press and release would never be clicked.
  area.addEventListener("focus", idle);
  node.addEventListener("focusout", () => setTimeout(idle, 150));

  function grow() {
    area.style.setProperty("height", "auto");
    area.style.setProperty("height", `${Math.min(area.scrollHeight + 4, innerHeight * 0.35)}px`);
  }

  function edited() {
    key = newKey();   // other words, another message
    clearTimeout(timer);
    timer = setTimeout(keep, 200);
  }

  function keep() {
    clearTimeout(timer);
    if (area.value || files.done().length) stored.keep({ mode, text: area.value, files: files.done(), key }); else stored.drop();
  }
  addEventListener("pagehide", keep, { signal });

  function setMode(name) {
    mode = name;
    if (area.value) edited();
    update();
  }

  function update() {
    const now = ticket();
    for (const one of tabs.children) { if (one.dataset.mode === mode) one.setAttribute("aria-current", "true"); else one.removeAttribute("aria-current"); }
    node.classList.toggle("note", mode === "note");
    const stopped = now.status === "merged" ? "This ticket was merged; write in the ticket that goes on." : mode === "reply" && now.status === "spam" ? "Choose “Not spam” first; then you can answer." : null;
    const readers = [now.requester, ...(now.followers ?? [])].filter(Boolean);
    const seen = now.seen_by?.length ? now.seen_by : readers.map(person);
    const lost = readers.filter((p) => p.undeliverable);
    if (mode === "note") replace(whoSees, icon("lock"), "Only your team sees this note. No mail goes to the customer.");
    else replace(whoSees, icon("mail"), el("span", null, "This answer will be mailed to ", el("strong", null, seen[0]), seen.length > 1 ? ` and to ${seen.slice(1).join(", ")}` : "", ".",
      lost.length ? ` Mail to ${lost.map((p) => p.email).join(", ")} came back before.` : ""));
    area.setAttribute("aria-label", mode === "note" ? "Internal note" : "Your answer");
    area.setAttribute("aria-describedby", "who-sees");
    area.placeholder = mode === "note" ? "Note for the team…" : "Write an answer…";
    area.disabled = Boolean(stopped);
    sender.lastChild.textContent = mode === "note" ? "Save note" : "Send";
    then.hidden = Boolean(stopped);
    sender.disabled = Boolean(stopped);
    if (stopped) replace(line, notice("warn", stopped)); else if (line.dataset.stopped) replace(line);
    line.dataset.stopped = stopped ? "1" : "";
  }

  function send() {
    return busy(sender, async () => {
      replace(line);
      const text = area.value.trim();
      if (!text && !files.done().length) { replace(line, notice("bad", "Write something first.")); area.focus(); return; }
      if (files.busy()) { replace(line, notice("warn", "A file is still on its way. Wait a moment.")); return; }
      keep();
      const body = { text: area.value, visibility: mode === "note" ? "internal" : "public", files: files.done().map(({ id, filename }) => ({ id, filename })), seen_comments: ticket().comment_count };
      if (then.value) body.status = then.value;
      try {
        await api.tickets.comment(ticket().number, body, key);
      } catch (problem) {
        if (problem.name === "AbortError") return;
        if (problem.code === "conversation_moved") {
          await sent();
          key = newKey();
          replace(line, notice("warn", "Somebody wrote here since you began. Read it above, then send your answer again if it still fits."));
          return;
        }
        replace(line, notice("bad", problem.status === 401 ? "You are not signed in any more. Your text is kept; sign in and send it again." : problem.detail));
        return;
      }
      area.value = "";
      then.value = "";
      files.clear();
      stored.drop();
      key = newKey();
      hint.hidden = true;
      grow();
      toast(mode === "note" ? "Note saved." : "Your answer is on its way.");
      mode = "reply";
      update();
      await sent();
      idle();
    });
  }

  update();
  idle();
  requestAnimationFrame(() => { if (area.value) grow(); });
  return { node, update, leave: () => { if (area.value) keep(); }, focus(name) { setMode(name); area.focus(); node.scrollIntoView({ block: "end" }); } };
}
