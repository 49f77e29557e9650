"""Pages: the portal's static files, and the headers that keep them safe.

``/static/{hash}/{file}`` may be kept for a year: the hash is of all files together. Scripts lie there once
more under the kind of page that loads them (``/static/{hash}/team/app.js``), joined with what they import
(``modules``). ``index.html`` answers every page of the portal and names hash and kind. Without the hash
(``/static/{file}``) a file is as it was written, and asked for again each time.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from servelo.portal import modules

FOLDER = Path(__file__).parent / "static"
YEAR = 31_536_000
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
# Pages that the script in index.html knows; everything else that is no file is not found.
PAGES = frozenset(
    "login reset welcome tickets clients members settings emails inbound suppressions tenants operator "
    "portal file".split()
)

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def content_security_policy(file_store: str) -> str:
    """Return the policy of the portal's pages. *file_store* is the origin of uploads and downloads.

    No inline script, nothing from elsewhere but pictures (a mail's remote ones when asked for, a logo). The
    frame of a mail inherits this policy and narrows it; style attributes are what mails are laid out with.
    """
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "style-src-attr 'unsafe-inline'",
            f"img-src 'self' data: blob: https: {file_store}".rstrip(),
            "font-src 'self'",
            f"connect-src 'self' {file_store}".rstrip(),
            "manifest-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


def origin_of(url: str) -> str:
    """Return scheme and host of *url*."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


@cache
def _files() -> dict[str, bytes]:
    found = {}
    for path in sorted(FOLDER.rglob("*")):
        if path.is_file() and path.suffix in TYPES:
            found[path.relative_to(FOLDER).as_posix()] = path.read_bytes()
    return found


@cache
def _hash() -> str:
    digest = hashlib.sha256()
    for name, content in _files().items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    digest.update(Path(modules.__file__).read_bytes())  # what is served is its work too
    return digest.hexdigest()[:12]


def _has(name: str) -> bool:
    """Tell whether there is a file *name*, written or made of what is written."""
    kind, _, script = name.partition("/")
    return name in _files() or (kind in modules.FIRST and script.endswith(".js") and script in _files())


@cache
def _content(name: str) -> bytes:
    kind, _, file = name.rpartition("/")
    if not kind:
        return _files()[name]
    if file == "index.html":
        page = _files()[file].decode()
        page = page.replace('"/static/app.js"', f'"/static/{kind}/app.js"')
        return page.replace('"/static/', f'"/static/{_hash()}/').encode()
    return modules.joined(kind, file, lambda each: _files()[each].decode()).encode()


@cache
def _zipped(name: str) -> bytes:
    # The time stays out, so that the same file is the same octets.
    return gzip.compress(_content(name), 9, mtime=0)


def find(path: str) -> tuple[str, bool] | None:
    """Return (file name, may be kept for ever) for a request's path, None when there is nothing there."""
    if path.startswith("/static/"):
        name = path.removeprefix("/static/")
        first, _, rest = name.partition("/")
        if first == _hash() and _has(rest):
            return rest, True
        return (name, False) if name in _files() else None
    if path in ("/favicon.ico", "/robots.txt"):
        return (path[1:], False) if path[1:] in _files() else None
    if path == "/" or path.split("/")[1] in PAGES:
        return f"{modules.kind_of(path)}/index.html", False
    return None


def answer(name: str, keep: bool, accept_encoding: str, file_store: str) -> dict[str, Any]:
    """Return file *name* as an answer of the HTTP API (payload 2.0)."""
    kind = TYPES[Path(name).suffix]
    headers = {
        **SECURITY_HEADERS,
        "Content-Type": kind,
        "Cache-Control": f"public, max-age={YEAR}, immutable" if keep else "no-cache",
        "Content-Security-Policy": content_security_policy(file_store)
        if name.endswith(".html")
        else "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        "Vary": "Accept-Encoding",
    }
    if not keep:
        headers["ETag"] = f'"{_hash()}"'
    content = _content(name)
    zips = "gzip" in accept_encoding and len(content) > 1000 and Path(name).suffix not in (".png", ".woff2")
    if zips:
        headers["Content-Encoding"] = "gzip"
        content = _zipped(name)
    return {
        "statusCode": 200,
        "headers": headers,
        "body": base64.b64encode(content).decode("ascii"),
        "isBase64Encoded": True,
    }
