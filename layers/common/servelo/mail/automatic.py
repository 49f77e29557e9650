"""Machine mail: which signals say that a program wrote a mail, and what each of them withholds (RFC 3834).

The signals are data: :data:`SIGNALS`, in the order in which they are told, each with one mail in
``events/mail/machine_<name>.eml`` and one row in ``docs/machine-mail.md``. Two kinds:

``automatic``     a program wrote it: recorded on its ticket, never answered, never reopens, never published
                  from a team member's vacation responder.
``answer_only``   a person may have written it: a real ticket is made, only our automatic answer stays away
                  (RFC 3834 section 2: when in doubt, no response).

Whether a mail is a bounce is asked before this, in ``bounce``: a third of real bounces also say
``Auto-Submitted: auto-replied``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from servelo.mail.inbound_mail import MachineMail
from servelo.patterns import pattern
from servelo.records import dataclass

OWN_STAMP_HEADER = "X-Servelo-Stamp"
"""Every mail that we send carries this field; one that comes in with it is our own, back again."""

MAX_VALUES = 50  # of one header field that are looked at
MAX_VALUE_CHARS = 1000
MAX_FIELDS = 2000


@dataclass(frozen=True, slots=True)
class _Head:
    """What the predicates look at: values in lower case, stripped, by lower-case field name."""

    fields: dict[str, list[str]]
    subject: str
    envelope_sender: str | None
    sender_local_parts: tuple[str, ...]
    content_type: str

    def values(self, name: str) -> list[str]:
        return self.fields.get(name, [])


@dataclass(frozen=True, slots=True)
class Signal:
    """One sign of machine mail.

    Attributes:
        name: stable, in lower case with underscores; stored with the mail and shown as a reason.
        withholds: ``automatic`` or ``answer_only``, see the module.
        seen_by: where it is looked for, as the documentation says it.
        predicate: whether a mail's head shows it.
    """

    name: str
    withholds: Literal["automatic", "answer_only"]
    seen_by: str
    predicate: Callable[[_Head], bool]


_NEGATIVE = frozenset(("", "no", "false", "0", "none", "off"))
_BULK = frozenset(("bulk", "list", "junk", "auto_reply", "auto-reply", "autoreply"))

_DAEMONS = frozenset(
    (
        "mailer-daemon",
        "mailerdaemon",
        "mailer_daemon",
        "mail-daemon",
        "maildaemon",
        "postmaster",
        "post_master",
        "post-master",
        "mdaemon",
        "mail.delivery.system",
        "mail-delivery-system",
        "mail.delivery.subsystem",
    )
)

# "no reply" with the separators that people use, whole or as one piece of a longer local part.
_NO_REPLY = pattern(
    r"(?:^|[._+=-])(?:"
    r"(?:no|not|do[._-]?not|dont|never|non)[._-]?(?:reply|respond|response|answer)|noreplies|"
    r"no[._-]?(?:responder|responda|contestar|conteste|respuesta)|n[aã]o[._-]?respond(?:a|er)|"
    r"ne?[._-]?pas[._-]?rep(?:ondre|ly)|nepasrepondre|pas[._-]?de[._-]?reponse|"
    r"keine[._-]?antwort|nicht[._-]?antworten|bitte[._-]?nicht[._-]?antworten|"
    r"non[._-]?rispondere|no[._-]?rispondere|niet[._-]?(?:beantwoorden|antwoorden|reageren)|geen[._-]?antwoord|"
    r"nie[._-]?odpowiadaj|nie[._-]?odpisuj|neodpovidat|neodpovidej|svara[._-]?(?:inte|ej)|"
    r"ikke[._-]?svar|svar[._-]?ikke|ei[._-]?vastata|ala[._-]?vastaa|ne[._-]?valaszoljon"
    r")(?:$|[._+=0-9-])"
)

# Subjects of vacation responders. The whole subject, or its beginning before the subject of the first mail:
# "Automatic reply: Your invoice". Language by language so that one can be added without reading the others.
OUT_OF_OFFICE_SUBJECTS: dict[str, tuple[str, ...]] = {
    "en": (
        "out of office",
        "out of the office",
        "out-of-office",
        "ooo:",
        "[ooo]",
        "automatic reply",
        "automated reply",
        "automated response",
        "automatic response",
        "auto reply",
        "auto-reply",
        "autoreply",
        "auto response",
        "auto-response",
        "autoresponse",
        "autoresponder",
        "auto:",
        "vacation reply",
        "vacation response",
        "vacation:",
        "on vacation",
        "away from my mail",
        "away from the office",
        "i am out of the office",
        "i'm out of the office",
        "i am on vacation",
        "i am on leave",
        "on annual leave",
        "on holiday",
        "absence:",
    ),
    "de": (
        "automatische antwort",
        "abwesenheitsnotiz",
        "abwesenheitsnachricht",
        "abwesenheitsmeldung",
        "abwesenheit",
        "abwesend",
        "automatische rückantwort",
        "autom. antwort",
        "ich bin im urlaub",
        "ich bin abwesend",
        "urlaubsnotiz",
        "außer haus",
        "nicht im büro",
        "nicht im hause",
    ),
    "fr": (
        "réponse automatique",
        "reponse automatique",
        "absence du bureau",
        "absent du bureau",
        "message d'absence",
        "notification d'absence",
        "je suis absent",
        "absence :",
        "en congé",
        "absent jusqu'au",
    ),
    "es": (
        "respuesta automática",
        "respuesta automatica",
        "fuera de la oficina",
        "fuera de oficina",
        "ausencia de oficina",
        "ausente de la oficina",
        "estoy de vacaciones",
        "fuera del trabajo",
    ),
    "ca": ("resposta automàtica", "fora de l'oficina", "fora de la feina"),
    "pt": (
        "resposta automática",
        "resposta automatica",
        "fora do escritório",
        "fora do escritorio",
        "ausência temporária",
        "ausencia temporaria",
        "ausente do escritório",
        "de férias",
    ),
    "it": (
        "risposta automatica",
        "fuori sede",
        "fuori ufficio",
        "assente dall'ufficio",
        "assenza dall'ufficio",
        "avviso di assenza",
    ),
    "nl": (
        "automatisch antwoord",
        "automatische beantwoording",
        "automatisch bericht",
        "afwezigheidsbericht",
        "afwezigheid",
        "afwezig",
        "niet aanwezig",
        "niet op kantoor",
    ),
    "da": (
        "automatisk svar",
        "autosvar",
        "ikke til stede",
        "ikke på kontoret",
        "fraværsmeddelelse",
        "ikke tilstede",
    ),
    "sv": (
        "automatiskt svar",
        "autosvar",
        "frånvaromeddelande",
        "frånvarande",
        "ej på kontoret",
        "borta till",
    ),
    "nb": ("automatisk svar", "autosvar", "fraværsmelding", "fravær fra kontoret", "ikke til stede"),
    "fi": (
        "automaattinen vastaus",
        "poissaoloilmoitus",
        "poissa toimistolta",
        "lomavastaaja",
        "poissa töistä",
        "lomalla",
    ),
    "pl": (
        "automatyczna odpowiedź",
        "odpowiedź automatyczna",
        "autoodpowiedź",
        "poza biurem",
        "nieobecność",
        "nieobecny",
        "jestem na urlopie",
    ),
    "cs": ("automatická odpověď", "mimo kancelář", "nepřítomnost", "jsem na dovolené"),
    "sk": ("automatická odpoveď", "mimo kancelárie", "neprítomnosť"),
    "sl": ("samodejni odgovor", "samodejno odgovor", "odsotnost", "izven pisarne", "ni me v pisarni"),
    "hr": ("automatski odgovor", "izvan ureda", "odsutnost"),
    "hu": ("automatikus válasz", "házon kívül", "irodán kívül", "szabadságon"),
    "ro": ("răspuns automat", "raspuns automat", "absent de la birou", "în afara biroului"),
    "bg": ("автоматичен отговор", "извън офиса", "отсъствие"),
    "ru": (
        "автоматический ответ",
        "автоответ",
        "автоматическое уведомление",
        "вне офиса",
        "нет на работе",
        "отсутствие на рабочем месте",
        "я в отпуске",
        "отсутствую до",
    ),
    "uk": ("автоматична відповідь", "автовідповідь", "немає на роботі", "поза офісом", "за межами установи"),
    "el": ("αυτόματη απάντηση", "εκτός γραφείου", "απουσία από το γραφείο"),
    "tr": ("otomatik yanıt", "otomatik cevap", "ofis dışında", "işyeri dışında"),
    "he": ("תשובה אוטומטית", "מענה אוטומטי", "מחוץ למשרד", "הודעת היעדרות"),
    "ar": ("رد تلقائي", "الرد التلقائي", "خارج المكتب"),
    "ja": ("自動応答", "自動返信", "不在通知", "不在応答", "休暇中", "外出中"),
    "ko": ("자동 회신", "자동회신", "자동 응답", "부재중", "부재 중"),
    "zh": (
        "自动答复",
        "自动回复",
        "自動回覆",
        "自動答覆",
        "休假自动回复",
        "外出",
        "不在办公室",
        "不在辦公室",
    ),
    "vi": ("trả lời tự động", "thư trả lời tự động", "vắng mặt"),
    "th": ("ตอบกลับอัตโนมัติ", "การตอบกลับอัตโนมัติ", "ไม่อยู่ที่สำนักงาน"),
    "id": ("balasan otomatis", "tidak di kantor", "di luar kantor"),
    "et": ("automaatvastus", "kontorist väljas", "ära kuni"),
    "lv": ("automātiska atbilde", "automātiskā atbilde"),
    "lt": ("automatinis atsakymas", "ne biure"),
    "gl": ("estou fóra da oficina", "fóra do traballo"),
    "sr": ("ван канцеларије", "van kancelarije"),
    "eu": ("erantzun automatikoa", "lanetik kanpo"),
    "is": ("er ekki við",),
}

# Receipts: what Outlook, Exchange, Lotus and Thunderbird put before the subject of the mail that was read.
RECEIPT_SUBJECTS: tuple[str, ...] = (
    "read:",
    "read receipt",
    "return receipt",
    "receipt for your mail",
    "delivered:",
    "delivery receipt",
    "successful mail delivery report",
    "delivery status notification (success)",
    "delivery notification: delivery has been successful",
    "not read:",
    "message recall",
    "relayed:",
    "gelesen:",
    "ungelesen gelöscht:",
    "nicht gelesen:",
    "zugestellt:",
    "lesebestätigung",
    "empfangsbestätigung",
    "übermittelt:",
    "lu :",
    "lu:",
    "lu\xa0:",
    "non lu :",
    "non lu\xa0:",
    "accusé de réception",
    "confirmation de lecture",
    "remis :",
    "remis\xa0:",
    "leído:",
    "leido:",
    "no leído:",
    "entregado:",
    "confirmación de lectura",
    "lida:",
    "lido:",
    "não lida:",
    "entregue:",
    "letto:",
    "non letto:",
    "conferma di lettura",
    "ricevuta di ritorno",
    "recapitato:",
    "gelezen:",
    "niet gelezen:",
    "leesbevestiging",
    "ontvangstbevestiging",
    "bezorgd:",
    "læst:",
    "läst:",
    "lest:",
    "läskvitto",
    "luettu:",
    "przeczytano:",
    "potwierdzenie przeczytania",
    "dostarczono:",
    "přečteno:",
    "prečítané:",
    "olvasva:",
    "citit:",
    "прочитано:",
    "прочтено:",
    "доставлено:",
    "уведомление о прочтении",
    "διαβάστηκε:",
    "okundu:",
    "נקרא:",
    "تمت القراءة:",
    "開封済み:",
    "開封済み：",
    "開封確認",
    "읽음:",
    "已读:",
    "已读：",
    "已讀:",
    "讀取:",
    "讀取：",
)

_SPACES = pattern(r"\s+")


def _folded(subject: str) -> str:
    """Return *subject* for comparison: single spaces, no case, the Turkish i's alike."""
    text = _SPACES.sub(" ", subject[:MAX_VALUE_CHARS]).strip().casefold()
    return text.replace("i\u0307", "i").replace("\u0131", "i")


# Only the beginning counts: people answer and forward such mails, and then a "Re:" stands before the phrase.
_OUT_OF_OFFICE = tuple(_folded(phrase) for phrases in OUT_OF_OFFICE_SUBJECTS.values() for phrase in phrases)
_RECEIPTS = tuple(_folded(phrase) for phrase in RECEIPT_SUBJECTS)


def _present(name: str) -> Callable[[_Head], bool]:
    return lambda head: any(value not in _NEGATIVE for value in head.values(name))


def _first_word(value: str) -> str:
    # RFC 3834 5: a keyword, then perhaps parameters; comments may stand on either side.
    while value.startswith("("):
        value = value.partition(")")[2].strip()
    return re.split(r"[\s;(,]", value, maxsplit=1)[0].strip("\"'")


def _auto_submitted(head: _Head) -> bool:
    return any(_first_word(value) not in ("no", "") for value in head.values("auto-submitted"))


def _precedence(head: _Head) -> bool:
    return any(
        _first_word(value) in _BULK for name in ("precedence", "x-precedence") for value in head.values(name)
    )


def _null_return_path(head: _Head) -> bool:
    if head.envelope_sender is not None:
        return head.envelope_sender.strip() in ("", "<>")
    # The topmost field is the one that our own server wrote.
    return head.values("return-path")[:1] == ["<>"]


def _daemon_sender(head: _Head) -> bool:
    return any(local_part.partition("+")[0] in _DAEMONS for local_part in head.sender_local_parts)


def _no_reply_sender(head: _Head) -> bool:
    return any(_NO_REPLY.search(local_part) is not None for local_part in head.sender_local_parts)


def _suppress(head: _Head) -> bool:
    return any(
        word.strip() not in _NEGATIVE
        for value in head.values("x-auto-response-suppress")
        for word in value.split(",")
    )


def _read_receipt(head: _Head) -> bool:
    if "disposition-notification" in head.content_type:
        return True
    return head.subject.startswith(_RECEIPTS)


SIGNALS: tuple[Signal, ...] = (
    Signal(
        "own_stamp",
        "automatic",
        f"`{OWN_STAMP_HEADER}`: our own mail came back",
        lambda head: bool(head.values(OWN_STAMP_HEADER.lower())),
    ),
    Signal("auto_submitted", "automatic", "`Auto-Submitted` says anything but `no`", _auto_submitted),
    Signal(
        "precedence",
        "automatic",
        "`Precedence` or `X-Precedence` says `bulk`, `list`, `junk` or `auto_reply`",
        _precedence,
    ),
    Signal("x_autoreply", "automatic", "`X-Autoreply`", _present("x-autoreply")),
    Signal("x_autorespond", "automatic", "`X-Autorespond`", _present("x-autorespond")),
    Signal("x_autoresponder", "automatic", "`X-Autoresponder`", _present("x-autoresponder")),
    Signal("x_autoresponse", "automatic", "`X-Autoresponse`", _present("x-autoresponse")),
    Signal("x_autoreply_from", "automatic", "`X-Autoreply-From`", _present("x-autoreply-from")),
    Signal("x_mail_autoreply", "automatic", "`X-Mail-Autoreply`", _present("x-mail-autoreply")),
    Signal("x_autogenerated", "automatic", "`X-Autogenerated`", _present("x-autogenerated")),
    Signal(
        "x_fc_machinegenerated",
        "automatic",
        "`X-FC-MachineGenerated` (FirstClass)",
        _present("x-fc-machinegenerated"),
    ),
    Signal(
        "x_post_messageclass",
        "automatic",
        "`X-POST-MessageClass` names an autoresponder",
        lambda head: any("autorespond" in value for value in head.values("x-post-messageclass")),
    ),
    Signal(
        "delivered_to_autoresponder",
        "automatic",
        "`Delivered-To: autoresponder`",
        lambda head: any(
            value.partition("@")[0].strip("<") == "autoresponder" for value in head.values("delivered-to")
        ),
    ),
    Signal(
        "x_amazon_mail_relay_type",
        "automatic",
        "`X-Amazon-Mail-Relay-Type`",
        _present("x-amazon-mail-relay-type"),
    ),
    Signal(
        "x_ms_exchange_inbox_rules_loop",
        "automatic",
        "`X-MS-Exchange-Inbox-Rules-Loop`",
        _present("x-ms-exchange-inbox-rules-loop"),
    ),
    Signal("null_return_path", "automatic", "empty envelope sender or `Return-Path: <>`", _null_return_path),
    Signal(
        "daemon_sender",
        "automatic",
        "sender `mailer-daemon@`, `postmaster@` and the like (From or envelope)",
        _daemon_sender,
    ),
    Signal(
        "multipart_report",
        "automatic",
        "`Content-Type: multipart/report`",
        lambda head: head.content_type.startswith("multipart/report"),
    ),
    Signal(
        "x_auto_response_suppress",
        "answer_only",
        "`X-Auto-Response-Suppress` names anything but `None`",
        _suppress,
    ),
    Signal("list_id", "answer_only", "`List-Id` (RFC 2919)", lambda head: bool(head.values("list-id"))),
    Signal(
        "list_unsubscribe",
        "answer_only",
        "`List-Unsubscribe` (RFC 2369)",
        lambda head: bool(head.values("list-unsubscribe")),
    ),
    Signal(
        "no_reply_sender",
        "answer_only",
        "sender `no-reply@`, `donotreply@`, `ne-pas-repondre@` and the like (From or envelope)",
        _no_reply_sender,
    ),
    Signal(
        "out_of_office_subject",
        "answer_only",
        f"the subject begins as vacation responders begin it, in {len(OUT_OF_OFFICE_SUBJECTS)} languages",
        lambda head: head.subject.startswith(_OUT_OF_OFFICE),
    ),
    Signal(
        "receipt",
        "answer_only",
        "a read or delivery receipt: `disposition-notification` report, or a subject such as `Read:`",
        _read_receipt,
    ),
)


def classify(
    headers: Sequence[tuple[str, str]],
    subject: str = "",
    envelope_sender: str | None = None,
    from_addr: str = "",
    content_type: str = "",
) -> MachineMail:
    """Return the signals of machine mail that a mail shows, and what follows from them. Never raises.

    *headers* are (lower-case name, decoded value) in order. *envelope_sender* is MAIL FROM: ``None`` when it
    is not known (then the first Return-Path field is looked at), ``""`` for the null sender. Subject, From
    address and content type are taken from *headers* where they are not given.
    """
    fields: dict[str, list[str]] = {}
    for name, value in headers[:MAX_FIELDS]:
        values = fields.setdefault(name, [])
        if len(values) < MAX_VALUES:
            values.append(value[:MAX_VALUE_CHARS].strip().lower())

    def first(name: str) -> str:
        return next(iter(fields.get(name, ())), "")

    head = _Head(
        fields=fields,
        subject=_folded(subject or first("subject")),
        envelope_sender=envelope_sender,
        sender_local_parts=tuple(
            _local_parts((from_addr or first("from"), envelope_sender or "", first("return-path")))
        ),
        content_type=(content_type or first("content-type")).strip().lower()[:MAX_VALUE_CHARS],
    )
    seen = [signal for signal in SIGNALS if signal.predicate(head)]
    automatic = any(signal.withholds == "automatic" for signal in seen)
    return MachineMail(
        automatic=automatic, withhold_answer=bool(seen), signals=tuple(signal.name for signal in seen)
    )


def _local_parts(senders: Iterable[str]) -> Iterable[str]:
    """Yield the lower-case local part of each address; a bare word ("mailer-daemon") is one too."""
    for sender in senders:
        text = sender[:MAX_VALUE_CHARS].strip().lower()
        if "<" in text:
            text = text.rpartition("<")[2].partition(">")[0]
        local_part = text.rpartition("@")[0] or text
        if local_part and " " not in local_part:
            yield local_part.strip("\"'")


def is_robot(local_part: str) -> bool:
    """Tell whether an address with this local part is a program's: no mail of ours goes there unasked."""
    name = local_part.casefold()
    return name.partition("+")[0] in _DAEMONS or _NO_REPLY.search(name) is not None
