// Where it starts: customers' pages under /portal/{slug}, the team's and the operator's everywhere else.

import { replace } from "./el.js";
import { notice, theme, watchConnection } from "./ui.js";

theme();
watchConnection();
const door = /^\/portal\/([^/]+)/.exec(location.pathname);
try {
  if (location.pathname === "/file") await (await import("./file.js")).start();
  else if (door) await (await import("./customer.js")).start(decodeURIComponent(door[1]));
  else await (await import("./team.js")).start();
} catch (error) {
  console.error(error);
  replace(document.getElementById("root"), notice("bad", "The page could not be started. Load it again; if that does not help, tell your administrator."));
}
