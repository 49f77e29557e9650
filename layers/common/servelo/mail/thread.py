"""Threading: Message-ID, In-Reply-To, References (RFC 5322 3.6.4) and the ticket tag in a subject.

Ids are handled without their angle brackets. Our own are ``{job id}-{tag}.{slug}@{mail domain}``. The job
keeps its id, so a mail that is sent a second time after an unknown outcome can be told as the same one by the
program that receives it. A job id follows from its event and can be worked out; the tag is keyed, so whoever
names a whole id (a bounce) has seen the mail.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Sequence

from servelo.domain.ids import MAX_TICKET_NUMBER
from servelo.mail.headers import one_line
from servelo.patterns import pattern

MAX_REFERENCES_CHARACTERS = 1500  # some servers refuse header fields of 2,000 octets
MAX_ID_CHARACTERS = 700
OPERATOR_SLUG = "-"

# RFC 5322 asks for dot-atoms around "@"; real ids hold nearly anything. What may not pass is what would end
# the field or the bracket.
_ID = pattern(r"[!-;=?-~]+")
_OWN_ID = pattern(r"([0-9a-z]{1,64})(?:-[0-9a-f]{16})?\.([a-z0-9-]{1,24})")
_TAG_BYTES = 8
_NOT_IN_SLUGS = pattern(r"[^a-z0-9-]")
_TAG = pattern(r"\[#([1-9][0-9]{0,12})\]")
# "Re:" as mail programs write it in many languages, also "Re[2]:" and the full-width colon. Forward marks
# stay: they tell the reader something.
_REPLY_PREFIX = pattern(
    r"\s*(?:re|r|aw|antw|antwort|sv|vs|vá|odp|odpowiedź|ynt|yan|rif|rép|rv|bls|ats|atb|"
    r"ίσχει|απ|σχετ|отв|ответ|відп|תגובה|رد|回复|回覆|답장|返信)(?:\s*(?:\[\d{1,3}\]|\(\d{1,3}\)|\^\d{1,3}))?\s*[:：]",
    re.IGNORECASE,
)


def message_id_for(job_id: str, slug: str, mail_domain: str, secret: bytes = b"") -> str:
    """Return the Message-ID of the outgoing mail *job_id* (a sortable id), without brackets.

    *slug* is ``-`` for the operator's own mail; *secret* is a key of the ring, or nothing for a mail that no
    stored job stands for (a test). After a rotation the id would be another one: the job keeps the first.
    """
    name = _NOT_IN_SLUGS.sub("", slug).strip("-") or "operator"
    if not secret:
        return f"{job_id}.{name}@{mail_domain}"
    tag = hmac.digest(secret, f"servelo message id 1\0{slug}/{job_id}".encode(), "sha256")[:_TAG_BYTES]
    return f"{job_id}-{tag.hex()}.{name}@{mail_domain}"


def own_job(message_id: str, mail_domain: str) -> tuple[str, str] | None:
    """Return (job id, slug) when *message_id* has the form of one of ours, else None.

    The form alone proves nothing: anybody can write it. Compare with the stored job.
    """
    left, _, domain = message_id.rpartition("@")
    found = _OWN_ID.fullmatch(left.lower())
    if not found or domain.lower() != mail_domain.lower():
        return None
    return found[1], OPERATOR_SLUG if found[2] == "operator" else found[2]


def clean_id(message_id: str) -> str:
    """Return *message_id* as it may stand between angle brackets, ``""`` if it may not.

    Brackets around it are removed. White space, controls, brackets inside and anything outside ASCII make
    it unfit for a header of ours.
    """
    bare = message_id.strip().removeprefix("<").removesuffix(">")
    return bare if len(bare) <= MAX_ID_CHARACTERS and _ID.fullmatch(bare) else ""


def trim_references(message_ids: Iterable[str], limit: int = MAX_REFERENCES_CHARACTERS) -> tuple[str, ...]:
    """Return *message_ids* (oldest first), each once, short enough for one field.

    The first is kept, because programs find the thread's root by it, and as many of the last as fit in
    *limit* characters, brackets and separators counted. Unfit ids are dropped. The last id always stays.
    """
    unique = tuple(dict.fromkeys(bare for each in message_ids if (bare := clean_id(each))))
    if not unique:
        return ()
    kept = [unique[-1]]
    room = limit - len(unique[-1]) - 3
    if len(unique) > 1 and len(unique[0]) + 3 <= room:
        room -= len(unique[0]) + 3
        for message_id in reversed(unique[1:-1]):
            if len(message_id) + 3 > room:
                break
            room -= len(message_id) + 3
            kept.append(message_id)
        kept.append(unique[0])
    return tuple(reversed(kept))


def candidate_ids(in_reply_to: Sequence[str], references: Sequence[str]) -> tuple[str, ...]:
    """Return every id that a mail answers to, each once: In-Reply-To first, then References newest first."""
    return tuple(
        dict.fromkeys(bare for each in (*in_reply_to, *reversed(references)) if (bare := clean_id(each)))
    )


def find_tag(subject: str) -> int | None:
    """Return the ticket number of the first ``[#123]`` in *subject*, None when there is none.

    It is a hint and no proof: it counts only where the sender is a participant of that ticket already.
    """
    for found in _TAG.finditer(subject):
        number = int(found[1])
        if number <= MAX_TICKET_NUMBER:
            return number
    return None


def without_reply_prefixes(subject: str) -> str:
    """Return *subject* without the ``Re:``, ``AW:``, ``SV:``… at its front."""
    while found := _REPLY_PREFIX.match(subject):
        subject = subject[found.end() :]
    return subject.strip()


def with_tag(subject: str, number: int) -> str:
    """Return *subject* with the tag of ticket *number* in front, the same for every mail of the ticket.

    Reply prefixes and this ticket's own tag are removed first, wherever earlier rounds put them; tags of
    other help desks stay. In front, because programs cut long subjects at the end.
    """
    tag = f"[#{number}]"
    bare = without_reply_prefixes(" ".join(one_line(subject).split()))
    while tag in bare:
        bare = without_reply_prefixes(" ".join(bare.replace(tag, " ").split()))
    return f"{tag} {bare}".rstrip()
