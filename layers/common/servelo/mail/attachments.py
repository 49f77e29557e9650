"""Attachments: safe names, types told by content, and which files run when they are opened.

A name is data from a stranger: it is never used as a path, and the name under which a file is saved has no
folder, control or direction-changing characters, no leading or trailing dots, and no device name of Windows.
"""

from __future__ import annotations

import binascii
import re
import unicodedata

from servelo.patterns import pattern

MAX_NAME_CHARS = 150

_NEWLINES = pattern(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
# Bidi controls turn "gpj.exe" into "exe.jpg" on the screen; zero-width signs hide within names.
_INVISIBLE = pattern(
    r"[\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)
_FORBIDDEN = pattern(r'[<>:"|?*\x00-\x1f]')
_DEVICE = pattern(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$)", re.I)

# Smaller ones may stay where they are.
_IMAGE_ADDRESS = pattern(
    rb"data:image/(?<=[sS][rR][cC]=([\"'])data:image/)"  # the letters first: they are quick to look for
    rb"[a-z0-9.+-]{1,20}(?:;[^;,\"'<>]{1,60}){0,3};base64,([A-Za-z0-9+/=\s]{8000,}+)(?=\1)"
)
MAX_IMAGES = 50  # moved out of the HTML of one mail: its files have a limit, too
_SHOWN_IMAGES = frozenset(("image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp"))

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF-", "application/pdf"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"BM", "image/bmp"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (0, b"\x00\x00\x01\x00", "image/x-icon"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypheix", "image/heic"),
    (4, b"ftypmif1", "image/heif"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypqt", "video/quicktime"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\x00", "application/x-xz"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (257, b"ustar", "application/x-tar"),
    (0, b"MSCF", "application/vnd.ms-cab-compressed"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (0, b"{\\rtf", "application/rtf"),
    (0, b"\x78\x9f\x3e\x22", "application/ms-tnef"),
    (0, b"MZ", "application/vnd.microsoft.portable-executable"),
    (0, b"\x7fELF", "application/x-executable"),
    (0, b"\xcf\xfa\xed\xfe", "application/x-mach-binary"),
    (0, b"\xce\xfa\xed\xfe", "application/x-mach-binary"),
    (0, b"\xca\xfe\xba\xbe", "application/java-vm"),
    (0, b"L\x00\x00\x00\x01\x14\x02\x00", "application/x-ms-shortcut"),
    (0, b"#!", "text/x-shellscript"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"SQLite format 3\x00", "application/vnd.sqlite3"),
    (0, b"-----BEGIN PGP", "application/pgp"),
    (0, b"BEGIN:VCALENDAR", "text/calendar"),
    (0, b"BEGIN:VCARD", "text/vcard"),
    (32769, b"CD001", "application/x-iso9660-image"),
)
MAX_NORMALISED = 400  # characters of a name
_COMMENTS = rb"(?:<!--(?:(?!-->).){0,500}+-->\s*+)*+"
_HTML_START = pattern(
    rb"\s*+" + _COMMENTS + rb"<(?:!doctype\s+html|html|head|body|script|iframe|meta|title|table|div|a\s|style"
    rb"|img|form|h1|p[\s>])",
    re.I | re.S,
)
_SVG_START = pattern(
    rb"\s*+(?:<\?xml[^>]{0,200}+>\s*+)?" + _COMMENTS + rb"(?:<!doctype\s+svg[^>]{0,500}+>\s*+)?<svg[\s>]",
    re.I | re.S,
)

_DANGEROUS_EXTENSIONS = frozenset(
    "ade adp apk app appinstaller application appref-ms appx appxbundle asp aspx bas bat chm class cmd "
    "com command cpl crt csh deb desktop diagcab dll dmg docm dotm elf exe fxp gadget hlp hta htm html "
    "htc img inf ins iqy isp iso jar jnlp js jse ksh library-ms lnk mad maf mag mam maq mar mas mat mau "
    "mav maw mda mdb mde mdt mdw mdz mht mhtml msc msh msh1 msh2 mshxml msi msix msixbundle msp mst msu "
    "ocx one onepkg ops osd out pcd php pif pkg pl plg potm ppam ppsm pptm prf prg pub ps1 ps1xml ps2 "
    "ps2xml psc1 psc2 psd1 psm1 py pyc pyo pyw rb reg rpm scf scpt scr sct search-ms settingcontent-ms "
    "sh shb shs shtml slk sldm svg svgz swf sys terminal theme tmp url vb vbe vbp vbs vhd vhdx vsmacros "
    "vsw vxd webloc website workflow ws wsb wsc wsf wsh xbap xhtml xht xla xlam xll xlsb xlsm xltm xml "
    "xps xsl xslt".split()
)
_DANGEROUS_TYPES = frozenset(
    (
        "application/vnd.microsoft.portable-executable",
        "application/x-executable",
        "application/x-mach-binary",
        "application/java-vm",
        "application/java-archive",
        "application/x-ms-shortcut",
        "application/x-iso9660-image",
        "application/x-msdownload",
        "application/x-msdos-program",
        "application/x-sh",
        "application/hta",
        "application/javascript",
        "application/x-javascript",
        "application/x-shockwave-flash",
        "application/xhtml+xml",
        "application/xml",
        "text/x-shellscript",
        "text/html",
        "text/javascript",
        "text/xml",
        "image/svg+xml",
    )
)
# What an extension promises; a file whose content is of another family is disguised.
_PROMISES = {
    "pdf": ("application/pdf",),
    "png": ("image/",),
    "jpg": ("image/",),
    "jpeg": ("image/",),
    "gif": ("image/",),
    "txt": ("text/plain",),
    "csv": ("text/plain",),
}
EXTENSIONS = {
    "application/pdf": ".pdf",
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "image/svg+xml": ".svg",
    "image/bmp": ".bmp",
    "image/tiff": ".tif",
    "image/heic": ".heic",
    "text/plain": ".txt",
    "text/html": ".html",
    "text/calendar": ".ics",
    "text/vcard": ".vcf",
    "text/x-vcard": ".vcf",
    "text/directory": ".vcf",
    "text/csv": ".csv",
    "text/rtf": ".rtf",
    "text/rfc822-headers": ".txt",
    "application/rtf": ".rtf",
    "application/zip": ".zip",
    "application/gzip": ".gz",
    "application/json": ".json",
    "application/xml": ".xml",
    "application/ms-tnef": ".dat",
    "application/msword": ".doc",
    "application/vnd.ms-excel": ".xls",
    "application/pkcs7-signature": ".p7s",
    "application/x-pkcs7-signature": ".p7s",
    "application/pkcs7-mime": ".p7m",
    "application/x-pkcs7-mime": ".p7m",
    "application/pgp-signature": ".asc",
    "application/pgp-encrypted": ".asc",
    "application/pgp-keys": ".asc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "audio/mpeg": ".mp3",
    "audio/wav": ".wav",
    "audio/amr": ".amr",
    "video/mp4": ".mp4",
    "video/quicktime": ".mov",
    "message/rfc822": ".eml",
    "message/delivery-status": ".txt",
    "message/disposition-notification": ".txt",
    "message/feedback-report": ".txt",
}


def clean_name(original: str, content_type: str, number: int) -> str:
    """Return a name of 1 to 150 characters that is safe to save a file under on any system.

    *number* (from 1) names files that came without a name.
    """
    name = _NEWLINES.sub(" ", original)
    name = _INVISIBLE.sub("", name)
    # Paths of both worlds; a name of nothing but a path is no name.
    name = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    if len(name) > MAX_NORMALISED:  # putting n marks on one letter in order takes n * n
        name = name[: MAX_NORMALISED // 2] + name[-MAX_NORMALISED // 2 :]
    name = unicodedata.normalize("NFC", name)
    name = _FORBIDDEN.sub("_", name)
    name = " ".join(name.split()).strip(". ")
    if not name:
        return f"attachment-{number}{EXTENSIONS.get(content_type, '.bin')}"
    if _DEVICE.match(name):
        name = f"_{name}"
    if len(name) > MAX_NAME_CHARS:
        stem, dot, extension = name.rpartition(".")
        if dot and len(extension) <= 12:
            name = stem[: MAX_NAME_CHARS - 1 - len(extension)].rstrip(". ") + "." + extension
        else:
            name = name[:MAX_NAME_CHARS].rstrip(". ")
    return name


def take_images(html: bytes) -> tuple[bytes, list[tuple[str, str, bytes]]]:
    """Return (*html* without its large ``data:`` images, [(content id, type, content)]) (RFC 2397).

    Their places show ``cid:`` and the content id, the same for the same image.
    """
    from hashlib import sha256

    images: dict[str, tuple[str, str, bytes]] = {}

    def moved(address: re.Match[bytes]) -> bytes:
        try:
            content = binascii.a2b_base64(address[2])
        except binascii.Error:
            return address[0]
        content_type = sniff(content)
        content_id = f"image-{sha256(content).hexdigest()[:32]}"
        if content_type not in _SHOWN_IMAGES or (content_id not in images and len(images) >= MAX_IMAGES):
            return address[0]
        images[content_id] = (content_id, content_type, content)
        return b"cid:" + content_id.encode()

    return _IMAGE_ADDRESS.sub(moved, html), list(images.values())


def sniff(content: bytes) -> str:
    """Return the type that *content*'s first bytes tell, ``""`` when they tell nothing."""
    if not content:
        return ""
    for offset, magic, content_type in _MAGIC:
        if content.startswith(magic, offset):
            return content_type
    if content.startswith(b"PK\x03\x04"):
        return _sniff_zip(content)
    if content.startswith(b"RIFF") and len(content) >= 12:
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}.get(
            content[8:12], ""
        )
    head = content[:2048]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head[2:].replace(b"\x00", b"")
    head = head.removeprefix(b"\xef\xbb\xbf")
    if _SVG_START.match(head):
        return "image/svg+xml"
    if _HTML_START.match(head):
        return "text/html"
    if head.startswith(b"<?xml"):
        return "application/xml"
    return ""


_OPENDOCUMENT = pattern(rb"mimetype(application/[a-z0-9.+\-]{1,100})")


def _sniff_zip(content: bytes) -> str:
    """Tell the Office files apart by the names in the archive; nothing is unpacked."""
    head = content[:4096]
    found = _OPENDOCUMENT.search(head[:256])
    if found:
        return found[1].decode("ascii")
    if b"META-INF/" in head or b"AndroidManifest.xml" in head:
        return "application/java-archive"
    names = head + content[-65536:]
    base = "application/vnd.openxmlformats-officedocument."
    if b"word/" in names:
        return base + "wordprocessingml.document"
    if b"xl/" in names and b"[Content_Types].xml" in names:
        return base + "spreadsheetml.sheet"
    if b"ppt/" in names:
        return base + "presentationml.presentation"
    return "application/zip"


def is_dangerous(original_name: str, declared_type: str, sniffed_type: str, content: bytes) -> bool:
    """Return whether opening the file may run something: programs, scripts, HTML, macros, disguised names.

    *original_name* is the name as the sender wrote it: a direction-changing character in it is a disguise.
    """
    if declared_type in _DANGEROUS_TYPES or sniffed_type in _DANGEROUS_TYPES:
        return True
    if re.search("[\u202a-\u202e\u2066-\u2069]", original_name):
        return True
    name = _INVISIBLE.sub("", _NEWLINES.sub(" ", original_name)).rstrip(". ").lower()
    extension = name.rpartition(".")[2] if "." in name else ""
    if extension in _DANGEROUS_EXTENSIONS:
        return True
    promised = _PROMISES.get(extension)
    if (
        promised
        and sniffed_type
        and not sniffed_type.startswith(promised)
        and not sniffed_type.startswith("text/")
    ):
        return True
    if sniffed_type.startswith("application/vnd.openxmlformats") or sniffed_type == "application/zip":
        return b"vbaProject.bin" in content[-65536:] or b"vbaProject.bin" in content[:65536]
    if sniffed_type == "application/x-ole-storage":
        # Streams of a VBA project, in UTF-16 in the directory of the compound file.
        return "_VBA_PROJECT".encode("utf-16-le") in content
    return False
