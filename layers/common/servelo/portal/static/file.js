// A file that was too large for its mail: the link's token is traded for a download that lives for minutes.

import { Client } from "./api.js";
import { el, replace } from "./el.js";
import { busy, empty, failure, waiting } from "./ui.js";

/** Show the file that the address names, with a button to fetch it. */
export async function start() {
  const root = document.getElementById("root");
  // The token leaves the address bar and the history before anything else happens; it stays in this page.
  const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
  history.replaceState(null, "", location.pathname);
  const client = new Client("servelo:file", { refresh: false });
  const ask = () => client.call("POST", "/api/auth/file-link", { body: { token }, open: true });
  const show = async () => {
    replace(root, waiting());
    let file;
    try { file = await ask(); } catch (problem) {
      if (problem.status === 401 || problem.status === 422 || problem.status === 400) replace(root, el("main", { class: "alone", id: "main" }, empty("warn", "This link is over", "Links to files live for 14 days. Answer the mail and ask for the file again.")));
      else replace(root, failure(problem, show));
      return;
    }
    // Asked for again at the click: the download's own address lives for minutes only.
    const fetchIt = async () => { location.assign((await ask()).url); };
    replace(root, el("main", { class: "alone", id: "main" }, empty("clip", file.filename, `${Math.max(1, Math.round(file.size_bytes / 1000))} kB`), el("button", { type: "button", class: "button main", on: { click: (event) => busy(event.target, fetchIt) } }, "Download")));
  };
  await show();
}
