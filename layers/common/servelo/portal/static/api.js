// The HTTP API as the pages use it (docs/api.md). One place knows paths, headers, tokens and retries.
//
// Reading is tried again by itself while the server cannot be reached; writing never is: it fails with a
// Problem, the page keeps what was written, and the same Idempotency-Key makes a second press harmless.

/** A refusal, as RFC 9457 puts it. status 0: the server was not reached. */
export class Problem extends Error {
  constructor(status, { code = "", detail = "", field = null, ...more } = {}) {
    super(detail || code || `HTTP ${status}`);
    this.status = status;
    this.code = code;
    this.detail = detail || "Something went wrong. Please try again.";
    this.field = field;
    this.more = more;
  }
}

const UNREACHED = "The server cannot be reached. Nothing was saved; what you wrote is still here.";
const SLOW = "The server took too long to answer. Nothing is lost; try again.";
const READ_TRIES = 4;

let offline = null;   // {promise, wake, tries}: while the server is away

function wentOffline() {
  if (offline) return offline.promise;
  let done;
  const promise = new Promise((resolve) => { done = resolve; });
  offline = { promise, tries: 0, wake: null };
  dispatchEvent(new Event("servelo:offline"));
  (async () => {
    for (;;) {
      const pause = Math.min(30, 2 ** offline.tries) * 1000;
      await new Promise((resolve) => { offline.wake = resolve; setTimeout(resolve, pause); });
      offline.tries += 1;
      try {
        const answer = await fetch("/healthz", { cache: "no-store" });
        if (answer.status < 500) break;
      } catch { /* still away */ }
    }
    offline = null;
    done();
    dispatchEvent(new Event("servelo:online"));
  })();
  return promise;
}

export const retryNow = () => offline?.wake?.();
addEventListener("online", retryNow);

export const newKey = () => crypto.randomUUID?.() ?? [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");

const query = (values) => {
  const pairs = Object.entries(values ?? {}).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return pairs.length ? `?${new URLSearchParams(pairs)}` : "";
};

const aborted = (signal) => { if (signal?.aborted) throw new DOMException("left the page", "AbortError"); };

/** Talks for one kind of session. Tokens live in memory and in this tab's sessionStorage, nowhere else. */
export class Client {
  /** storageKey: where the session is kept; refresh: whether POST /api/auth/refresh renews it. */
  constructor(storageKey, { refresh = true } = {}) {
    this.storageKey = storageKey;
    this.refreshes = refresh;
    this.askSignIn = null;      // set by the page: shows the sign-in dialog, answers true once signed in
    this.renewing = null;
    try { this.session = JSON.parse(sessionStorage.getItem(storageKey)); } catch { this.session = null; }
  }

  get user() { return this.session?.user ?? null; }

  keep(session) {
    this.session = session ? { ...(session.refresh_token ? {} : { refresh_token: this.session?.refresh_token }), ...session } : null;
    if (session) sessionStorage.setItem(this.storageKey, JSON.stringify(this.session));
    else sessionStorage.removeItem(this.storageKey);
  }

  async renew() {
    // Several requests may find the token expired at once; one renews it for all.
    this.renewing ??= (async () => {
      try {
        if (this.refreshes && this.session?.refresh_token) {
          const fresh = await this.call("POST", "/api/auth/refresh", { body: { refresh_token: this.session.refresh_token }, open: true });
          this.keep({ ...this.session, ...fresh, user: fresh.user ?? this.session.user });
          return true;
        }
      } catch (problem) {
        if (problem.status === 0) throw problem;
      }
      return this.askSignIn ? Boolean(await this.askSignIn()) : false;
    })().finally(() => { this.renewing = null; });
    return this.renewing;
  }

  /** One request. open: no token. key: Idempotency-Key. version: If-Match. Answers the parsed body. */
  async call(method, path, { body, signal, key, version, open = false, raw = false } = {}) {
    const reading = method === "GET";
    let renewed = false;
    for (let tries = 1; ; tries += 1) {
      aborted(signal);
      const headers = { Accept: "application/json" };
      if (body !== undefined) headers["Content-Type"] = "application/json";
      if (!open && this.session?.id_token) headers.Authorization = `Bearer ${this.session.id_token}`;
      if (key) headers["Idempotency-Key"] = key;
      if (version !== undefined) headers["If-Match"] = `"${version}"`;
      let answer;
      try {
        answer = await fetch(path, { method, headers, signal, cache: "no-store", credentials: "omit", body: body === undefined ? undefined : JSON.stringify(body) });
      } catch (error) {
        if (error.name === "AbortError") throw error;
        const back = wentOffline();
        if (!reading) throw new Problem(0, { code: "unreachable", detail: UNREACHED });
        await back;
        continue;
      }
      if ([502, 503, 504].includes(answer.status)) {
        if (reading && tries < READ_TRIES) { await wentOffline(); continue; }
        if (!reading && answer.status !== 503) throw new Problem(answer.status, { code: "no_answer", detail: SLOW });
      }
      if (answer.status === 401 && !open && !renewed) {
        renewed = true;
        if (await this.renew()) { tries = 0; continue; }
      }
      if (answer.status === 204) return null;
      const text = await answer.text();
      if (answer.ok && raw) return text;
      let parsed = null;
      try { parsed = text ? JSON.parse(text) : null; } catch { /* not ours: a proxy's page */ }
      if (answer.ok) return parsed;
      if (answer.status === 429) throw new Problem(429, { detail: "Too many requests just now. Wait a moment and try again.", ...(parsed ?? {}) });
      throw new Problem(answer.status, parsed ?? { detail: answer.status === 413 ? "This is too large." : "The server made an error. Please try again." });
    }
  }

  get(path, values, signal) { return this.call("GET", path + query(values), { signal }); }
  post(path, body, key = newKey()) { return this.call("POST", path, { body: body ?? {}, key }); }
  put(path, body, version) { return this.call("PUT", path, { body, version }); }
  patch(path, body, version) { return this.call("PATCH", path, { body, version }); }
  remove(path) { return this.call("DELETE", path); }
}

/** Send a file straight to its store by a presigned POST. progress(share) with 0 to 1. */
export function upload({ url, fields }, file, progress, signal) {
  return new Promise((resolve, reject) => {
    const data = new FormData();
    for (const [name, value] of Object.entries(fields)) data.append(name, value);
    data.append("file", file);
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.upload.onprogress = (event) => { if (event.lengthComputable) progress(event.loaded / event.total); };
    request.onload = () => (request.status < 300 ? resolve() : reject(new Problem(request.status, { detail: /EntityTooLarge/.test(request.responseText) ? "The file is too large." : "The file was not taken. Try again." })));
    request.onerror = () => reject(new Problem(0, { detail: "The connection broke while the file was sent. Try again." }));
    signal?.addEventListener("abort", () => request.abort());
    request.send(data);
  });
}

const id = encodeURIComponent;

/** A conversation with all its pages of comments. */
async function whole(page) {
  const first = await page(null);
  for (let cursor = first.next_cursor; cursor;) {
    const next = await page(cursor);
    first.comments.push(...next.comments);
    cursor = next.next_cursor;
  }
  return first;
}

/** Calls that carry the access token in their body: after a renewal they must be made anew with the new one. */
async function byAccess(client, path, more = {}) {
  const ask = () => client.post(`/api/auth/totp${path}`, { access_token: client.session.access_token, ...more });
  const before = client.session.access_token;
  try { return await ask(); } catch (problem) {
    if (problem.status !== 401 || client.session?.access_token === before) throw problem;
    return ask();
  }
}

/** Sign-in; none of these needs a token. */
export const auth = (client) => ({
  login: (email, password) => client.call("POST", "/api/auth/login", { body: { email, password }, open: true }),
  respond: (challenge, session, values) => client.call("POST", "/api/auth/challenge", { body: { challenge, session, ...values }, open: true }),
  forgot: (email) => client.call("POST", "/api/auth/forgot", { body: { email }, open: true }),
  reset: (token, password) => client.call("POST", "/api/auth/reset", { body: { token, password }, open: true }),
  logout: () => client.call("POST", "/api/auth/logout", { body: { refresh_token: client.session?.refresh_token } }),
  me: (signal) => client.get("/api/auth/me", {}, signal),
  changeMe: (body) => client.patch("/api/auth/me", body),
  totp: () => byAccess(client, ""),
  totpBegin: () => byAccess(client, "/begin"),
  totpConfirm: (code) => byAccess(client, "/confirm", { code }),
  totpEnd: (password, code) => byAccess(client, "/end", { password, code }),
});

/** What the team and the operator do. */
export const team = (client) => ({
  tickets: {
    list: (values, signal) => client.get("/api/tickets", values, signal),
    open: (number, signal) => whole((cursor) => client.get(`/api/tickets/${number}`, { cursor }, signal)),
    create: (body, key) => client.post("/api/tickets", body, key),
    change: (number, body, version) => client.patch(`/api/tickets/${number}`, body, version),
    comment: (number, body, key) => client.post(`/api/tickets/${number}/comments`, body, key),
    accept: (number, comment) => client.post(`/api/tickets/${number}/comments/${id(comment)}/accept`),
    merge: (number, into) => client.post(`/api/tickets/${number}/merge`, { into }),
    read: (number) => client.post(`/api/tickets/${number}/read`),
    spam: (number, block) => client.post(`/api/tickets/${number}/spam`, { block }),
    requester: (number, body) => client.post(`/api/tickets/${number}/requester`, body),
    notSpam: (number) => client.post(`/api/tickets/${number}/not-spam`),
    raw: (number, comment) => client.get(`/api/tickets/${number}/comments/${id(comment)}/raw`),
    file: (number, file) => client.get(`/api/tickets/${number}/attachments/${id(file)}`),
  },
  uploads: (file) => client.post("/api/uploads", { filename: file.name, content_type: file.type || "application/octet-stream", size_bytes: file.size }),
  clients: {
    list: (values, signal) => client.get("/api/clients", values, signal),
    create: (body) => client.post("/api/clients", body),
    change: (who, body) => client.patch(`/api/clients/${id(who)}`, body),
  },
  settings: {
    read: (signal) => client.get("/api/settings", {}, signal),
    save: (body, version) => client.put("/api/settings", body, version),
    smtp: (signal) => client.get("/api/settings/smtp", {}, signal),
    saveSmtp: (body) => client.put("/api/settings/smtp", body),   // 409 test_first: Send Test comes before Save
    testSmtp: (body) => client.post("/api/settings/smtp/test", body),
    arrival: (id, signal) => client.get(`/api/settings/smtp/test/${encodeURIComponent(id)}`, {}, signal),
    dropSmtp: () => client.remove("/api/settings/smtp"),
    providers: (signal) => client.get("/api/settings/smtp/providers", {}, signal),
    preview: (kind, signal) => client.get("/api/settings/preview", { kind }, signal),
  },
  members: {
    list: (signal) => client.get("/api/members", {}, signal),
    invite: (body) => client.post("/api/members", body),
    change: (email, body) => client.patch(`/api/members/${id(email)}`, body),
    again: (email) => client.post(`/api/members/${id(email)}/invite`),
    drop: (email) => client.remove(`/api/members/${id(email)}`),
  },
  inbound: {
    list: (values, signal) => client.get("/api/inbound", values, signal),
    open: (record, signal) => client.get(`/api/inbound/${id(record)}`, {}, signal),
    raw: (record) => client.get(`/api/inbound/${id(record)}/raw`),
    replay: (record) => client.post(`/api/inbound/${id(record)}/replay`),
  },
  emails: {
    list: (values, signal) => client.get("/api/emails", values, signal),
    retry: (email) => client.post(`/api/emails/${id(email)}/retry`),
  },
  suppressions: {
    list: (values, signal) => client.get("/api/suppressions", values, signal),
    lift: (address) => client.remove(`/api/suppressions/${id(address)}`),
  },
  tenants: {
    list: (values, signal) => client.get("/api/tenants", values, signal),
    create: (body) => client.post("/api/tenants", body),
    change: (slug, body, version) => client.patch(`/api/tenants/${id(slug)}`, body, version),
  },
  operator: {
    queues: (signal) => client.get("/api/operator/queues", {}, signal),
    failed: (values, signal) => client.get("/api/operator/failed", values, signal),
    retry: (slug, email) => client.post(`/api/operator/failed/${id(slug)}/${id(email)}/retry`),
    settings: (signal) => client.get("/api/operator/settings", {}, signal),
    saveSettings: (body, version) => client.put("/api/operator/settings", body, version),
    redrive: (name) => client.post(`/api/operator/queues/${id(name)}/redrive`),
  },
});

/** What a customer does, signed in by a link in a mail. */
export const customer = (client, slug) => ({
  about: (signal) => client.call("GET", `/api/portal/${id(slug)}`, { signal, open: true }),
  ask: (email) => client.call("POST", "/api/auth/magic-link/request", { body: { slug, email, ...(location.protocol === "https:" ? { url: location.origin + location.pathname } : {}) }, open: true }),
  verify: (token) => client.call("POST", "/api/auth/magic-link/verify", { body: { slug, token }, open: true }),
  tickets: (values, signal) => client.get(`/api/portal/${id(slug)}/tickets`, values, signal),
  open: (number, signal) => whole((cursor) => client.get(`/api/portal/${id(slug)}/tickets/${number}`, { cursor }, signal)),
  create: (body, key) => client.post(`/api/portal/${id(slug)}/tickets`, body, key),
  comment: (number, body, key) => client.post(`/api/portal/${id(slug)}/tickets/${number}/comments`, body, key),
  uploads: (file) => client.post(`/api/portal/${id(slug)}/uploads`, { filename: file.name, content_type: file.type || "application/octet-stream", size_bytes: file.size }),
  file: (number, file) => client.get(`/api/portal/${id(slug)}/tickets/${number}/attachments/${id(file)}`),
});
