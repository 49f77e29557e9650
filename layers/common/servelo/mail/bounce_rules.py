"""What is known of bounces, as data: how servers word them, and what their words and codes mean.

Everything is matched on lower-case, single-spaced lines of at most 1,000 characters; no pattern repeats a
group that can match in two ways, so each costs time linear in the line. The tables are documented in
``docs/machine-mail.md``; a test holds both together.

Sources: RFC 3463 and its IANA registry (enhanced codes), RFC 5321 4.2 (reply codes), RFC 3464, and what the
servers themselves write.
"""

from __future__ import annotations

import re

from servelo.patterns import pattern
from servelo.records import dataclass


def any_of(*alternatives: str, flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str]:
    return pattern("|".join(alternatives), flags)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a mail bounced.

    Attributes:
        name: stable, stored with the recipient.
        permanent: the class of the failure where no code gives one.
        words: how servers say it.
    """

    name: str
    permanent: bool
    words: re.Pattern[str]


# In the order in which they are asked: what is said more exactly first.
REASONS: tuple[Reason, ...] = (
    Reason(
        "delayed",
        False,
        any_of(
            r"retry (?:timeout|time) ?(?:not reached|exceeded)",
            r"(?:will|shall) (?:be retried|(?:continue to )?(?:keep )?(?:re)?try(?:ing)?)",
            r"temporar(?:y|ily) (?:failure|error|problem|deferred|unavailable|rejected|not available)",
            r"try (?:again )?later",
            r"gr[ae]y-?list",
            r"deferred\b",
        ),
    ),
    Reason(
        "mailbox-full",
        True,
        any_of(
            r"(?:mail ?box|mail ?folder|inbox|mail ?drop|account|maildir|user|mail ?spool) (?:is |has |"
            r"are )?"
            r"(?:currently |over |temporarily |too |now )*(?:full|over ?quota|quota exceeded|exceeded)",
            r"(?:mailbox|inbox|mailfolder|storage|quota|space|disk)\b[^.]{0,40}\b(?:is|was|"
            r"are) (?:too )?full",
            r"over (?:the |its |his |their )?(?:disk |mail |mailbox |storage |allowed |size )*(?:quota|"
            r"limit)",
            r"quota (?:has been |is |was )?(?:exceed|reached|violation|full|limit)",
            r"exceed(?:s|ed|ing)?[^.]{0,60}(?:quota|mailbox|storage|disk|maildir|allowed size|space)",
            r"(?:mailbox|quota|storage)[^.]{0,40}exceed(?:s|ed|ing)?",
            r"(?:insufficient|not enough|no) (?:system |disk |storage |mailbox |mail ?box |"
            r"user )*(?:space|storage|quota)",
            r"(?:mail ?box|disk|storage|user|account)[^.]{0,30} (?:space|storage) (?:is )?(?:not enough|"
            r"exceeded|full|limit)",
            r"box space not enough",
            r"out of (?:storage|disk|space|quota)",
            r"too many messages (?:in|on|for)",
            r"mailbox size limit",
            r"(?:user|recipient|mailbox)[^.]{0,20} overquota",
            r"overquota",
            r"mail ?box full",
            r"bo[îi]te[^.]{0,30} pleine",
            r"postfach[^.]{0,30} voll",
            r"buz[óo]n[^.]{0,30} lleno",
            r"caixa (?:postal|de correio)[^.]{0,30} cheia",
            r"casella[^.]{0,30} piena",
            r"ящик[^.]{0,30} переполнен",
            r"メールボックスが一杯",
            r"容量(?:を|が)?超",
            r"邮箱(?:已|空间)?满",
            r"郵箱已滿",
        ),
    ),
    Reason(
        "too-big",
        True,
        any_of(
            r"(?:message|mail|e-mail|size|attachment)s?[^.]{0,40} (?:too (?:big|large)|exceed)",
            r"(?:too (?:big|large)|exceed(?:s|ed)?)[^.]{0,40}(?:message|mail|size|limit)",
            r"(?:size|length) (?:limit|exceeds)",
            r"maximum (?:message )?size",
        ),
    ),
    Reason(
        "moved",
        True,
        any_of(
            r"has moved",
            r"no longer (?:at|in use|using|with|works|employed)",
            r"(?:user|recipient|address|account) (?:has )?(?:moved|changed|been replaced)",
            r"new (?:e-?mail )?address is",
        ),
    ),
    Reason(
        "inactive",
        True,
        any_of(
            r"(?:account|mail ?box|user|address|recipient|domain|login|profile|"
            r"system)[^.]{0,40}\b(?:is |has been |was |been )*"
            r"(?:disabled|inactive|suspended|deactivated|de-activated|discontinued|locked|closed|"
            r"expired|terminated|"
            r"blocked due to inactivity|frozen|cancell?ed|dormant|not active|not activated|"
            r"not being accepted)",
            r"(?:disabled|inactive|suspended|deactivated|locked|discontinued) (?:account|mail ?box|user|"
            r"address|recipient)",
            r"(?:account|user|mailbox) (?:that you tried to reach )?is (?:currently )?(?:over-?due|"
            r"on hold)",
            r"not active\b",
            r"заблокирован",
        ),
    ),
    Reason(
        "no-mail-service",
        True,
        any_of(
            r"does not accept (?:any )?(?:e-?mail|mail)",
            r"(?:no smtp service|null ?mx|does not receive mail)",
            r"mx[^.]{0,30}(?:no smtp service|points? to (?:127|0\.|localhost|itself))",
            r"no (?:mx|mail exchanger)[^.]{0,30} (?:found|record)",
            r"(?:mailserver|server|host|system|domain) (?:does ?n[o']t|is not|not|"
            r"will not) accept(?:ing)? (?:any |mail|messages|smtp|network)",
        ),
    ),
    Reason(
        "host-unknown",
        True,
        any_of(
            r"(?:host|domain|server|destination|mx|hostname)\b[^.]{0,60}(?:unknown|not found|not exist|"
            r"n[o']t exist|invalid|unrouteable|nicht gefunden)",
            r"(?:unknown|invalid|bad|no such|illegal|unrouteable|nonexistent|unresolvable|"
            r"nonexisting) (?:destination |mail |remote )*(?:host|domain|server)",
            r"(?:could ?n[o']t|cannot|can't|unable to|can not|failed to) (?:find|resolve|locate|"
            r"look ?up)[^.]{0,60}(?:host|domain|gateway|mx|dns|server|name)",
            r"unrouteable (?:mail )?(?:address|domain)",
            r"name (?:service|server|or service)[^.]{0,20} (?:error|not known|failure)",
            r"(?:dns|lookup|name resolution|nxdomain)[^.]{0,30}(?:fail|error|nxdomain|not found)",
            r"nxdomain",
            r"all relevant mx records point to non-existent hosts",
            r"no (?:such|a|mx|route)[^.]{0,10} (?:host|domain|record)",
            r"couldn't find any host",
            r"bad destination (?:system|host)",
            r"domain (?:does|name) n",
            r"no route(?: found)?(?: to)? (?:domain|address)",
        ),
    ),
    Reason(
        "user-unknown",
        True,
        any_of(
            r"(?:user|recipient|address|mailbox|account|userid|login|subscriber|addressee|person|name|"
            r"member|customer|local part|localpart)s?"
            r"\b[^.]{0,50}\b(?:unknown|not known|not exist|doesn't exist|not found|not listed|"
            r"not recogni[sz]ed|invalid|no longer exists?|"
            r"isn't|does not have|doesn't have|not valid|illegal|not a valid|unavailable|not available|"
            r"could not be found|wasn.t found|undeliverable)",
            r"(?:unknown|invalid|no such|illegal|bad|non-?existent|incorrect|not a valid|no valid|"
            r"nonexisting|unresolvable|undeliverable|unroutable|misspelled)"
            r" (?:[a-z-]+ ){0,2}(?:user|recipient|address|mailbox|account|userid|login|subscriber|"
            r"addressee|person|name|local part)",
            r"malformed address|address syntax|incorrectly constructed",
            r"(?:user|recipient|mailbox|account|person|address|name)\b[^.]{0,40} (?:does not|doesn't|"
            r"do not|did not|not|non) exist",
            r"no (?:mail ?box|user|account|such person|one|recipients?|mapping|"
            r"known user)\b[^.]{0,30}(?:here|name|by that|match|found|with|for)",
            r"no mailbox\b",
            r"not (?:a known|a valid|our|in my|a local|one of our|in our) (?:user|mailbox|recipient|"
            r"customer|control|table|address)",
            r"recipnotfound",
            r"(?:recipient|user|mailbox)[- _]?(?:not[- _]?found|unknown|invalid)",
            r"not listed in (?:the )?(?:domino|public|directory|name)",
            r"unknown (?:to|at) ",
            r"sorry, no mailbox here",
            r"does(?: not|n't) (?:have an?|like recipient)",
            r"who are you looking for",
            r"can't (?:create|find)[^.]{0,20}user",
            r"(?:unable|failed) to (?:find|resolve|look ?up)[^.]{0,40}(?:recipient|user|address)",
            r"account (?:that you tried to reach )?does not exist",
            r"destinataire inconnu|adresse inconnue|utilisateur inconnu|n'existe pas|n’existe pas|"
            r"introuvable",
            r"unbekannter (?:empf|benutz|nutz)|empfänger[^.]{0,30}(?:unbekannt|nicht gefunden|"
            r"existiert nicht)|konnte nicht gefunden",
            r"usuario (?:desconocido|inexistente|no)|no existe|no se encontr",
            r"utente (?:sconosciuto|non)|casella[^.]{0,20}(?:inesistente|non)|non esiste",
            r"não existe|usuário (?:desconhecido|inexistente)|não foi (?:possível )?encontrad|"
            r"não encontrad",
            r"onbekende? (?:gebruiker|geadresseerde|ontvanger)|bestaat niet|niet gevonden",
            r"пользователь[^.]{0,20}не|не (?:существует|найден)|нет такого",
            r"不存在|存在しません|見つかりません|宛先[^.]{0,10}(?:不明|ありません)|リストにありません|"
            r"存在しない|찾을 수 없|없는 (?:사용자|계정)",
            r"nie istnieje|nieznany|nie znaleziono|ismeretlen|okänd|ukendt|tuntematon|neznám",
        ),
    ),
    Reason("loop", True, any_of(r"too many hops|mail loop|loop(?:s|ing)? (?:detected|back)|hop count")),
    Reason(
        "relaying",
        True,
        any_of(
            r"relay(?:ing)?\b[^.]{0,40}(?:denied|not (?:permitted|allowed)|prohibited|refused|access|"
            r"disallowed)",
            r"(?:unable to|not|no|cannot|insecure mail) relay(?:ing)?",
            r"not (?:in my )?list of allowed rcpthosts",
        ),
    ),
    Reason(
        "spam",
        True,
        any_of(
            r"\bspam\b|\bjunk\b|unsolicited|black ?list|block ?list|blocked|dnsbl|\brbl\b|spamhaus|"
            r"spamcop|barracuda|"
            r"sorbs|reputation|bulk mail|poor|listed at|uribl|surbl|virus|malware|abuse|banned"
        ),
    ),
    Reason(
        "policy",
        True,
        any_of(
            r"polic(?:y|ies)|\bspf\b|\bdkim\b|\bdmarc\b|authentication|unauthenticated|unauthori[sz]ed|"
            r"not authori[sz]ed|"
            r"permission|not a? ?member|not relayed|(?:access|sender|message|mail|"
            r"transaction)[^.]{0,20} (?:denied|rejected|"
            r"refused|not (?:permitted|allowed|accepted))|"
            r"reverse dns|\bptr\b|\bhelo\b|administrative|prohibition|content|security|not permitted|"
            r"not allowed|forbidden|rate limit"
        ),
    ),
    Reason(
        "expired",
        True,
        any_of(
            r"(?:message|delivery|envelope|queue|lifetime|time|mail)[^.]{0,30} (?:expired|expiration)",
            r"(?:in|on) (?:the )?queue (?:too|for)",
            r"not delivered within|could not be delivered (?:for|within|after)",
            r"was aborted after",
            r"(?:delivery )?time (?:expired|exceeded)",
            r"giving up|given up on (?:it|your message)",
            r"(?:too (?:many|long)|attempts|unsuccessful tries)",
            r"has been (?:trying|attempting)",
        ),
    ),
    Reason(
        "network",
        True,
        any_of(
            r"connect(?:ion|ing)? (?:was )?(?:timed out|refused|reset|closed|dropped|lost|failed|error|"
            r"attempt)",
            r"(?:could|can)(?: ?n[o']t| not|not) (?:establish|connect|contact)|unable to (?:connect|"
            r"contact|establish)",
            r"(?:no route|network|not reachable|unreachable|socket|not responding|timed out|time-?out|"
            r"i/o error|tls|ssl)",
            r"did not (?:accept our requests|respond)|lost connection|no smtp connection|while talking",
        ),
    ),
    Reason(
        "server",
        True,
        any_of(
            r"(?:system|internal|configuration|local|server|mailer|program|software|protocol|i/o|"
            r"procmail|maildrop) (?:error|failure|problem|i/o)",
            r"service unavailable|insufficient system resources|unknown mailer|can't create output|"
            r"too many (?:connections|recipients|sessions)|syntax error|not implemented|unrecogni[sz]ed",
        ),
    ),
)

# Enhanced status codes without their class (RFC 3463 3.2 to 3.8), where the words tell nothing. The longest
# key that fits is taken.
STATUS_REASONS: dict[str, str] = {
    "1": "user-unknown",
    "1.2": "host-unknown",
    "1.6": "moved",
    "1.7": "policy",
    "1.8": "policy",
    "1.9": "policy",
    "1.10": "no-mail-service",
    "2": "user-unknown",
    "2.1": "inactive",
    "2.2": "mailbox-full",
    "2.3": "too-big",
    "3": "server",
    "3.2": "no-mail-service",
    "3.4": "too-big",
    "4": "network",
    "4.4": "host-unknown",
    "4.6": "loop",
    "4.7": "expired",
    "5": "server",
    "6": "policy",
    "7": "policy",
}

# From here on: free text. Senders that only programs have, then those that a postmaster may write as too.
SURE_LOCAL_PARTS = any_of(r"^(?:mailer[-_.]?daemon.*|mail[-_.]?daemon|mdaemon|microsoftexchange[0-9a-f]+)$")
SURE_NAMES = any_of(r"mailer[- ]daemon", r"mail delivery (?:sub)?system", r"microsoft exchange recipient")
DAEMON_LOCAL_PARTS = any_of(
    r"^(?:mailer[-_.]?daemon|post[-_]?master|mail[-_.]?daemon|mdaemon|"
    r"mail[-_.]?delivery(?:[-_.](?:sub)?system)?|"
    r"mail[-_.]?delivery[-_.][a-z]+|mmdf|uucp|amavisd?|mailerdaemon[a-z]*|bounces?|nondelivery|"
    r"e\d{3}[-_]smtp[-_]mail[-_]service|mail[-_]?system|mail-admin|smtp|microsoftexchange[0-9a-f]+|"
    r"delivery|poo?stmaster|sysadmin|mailsupport|system|mail\.administrator|dsn)$"
)
DAEMON_NAMES = any_of(
    r"mail(?:er)?[- ]?daemon",
    r"mail delivery (?:sub)?system",
    r"mail delivery service",
    r"mail (?:administrator|system|router|gateway|server)",
    r"system (?:administrator|attendant)",
    r"postmaster",
    r"microsoft exchange",
    r"interscan",
    r"message delivery",
)

# Subjects of notices. Only at the beginning: people answer and forward them.
SUBJECTS = any_of(
    r"(?:\*+|\[[^\]]{0,30}\]|warning|attention|notice|re)?[:\s]*(?:"
    r"undeliver(?:able|ed)|(?:mail |message |e-?mail )*(?:delivery|deliver) (?:status|fail|error|"
    r"problem|report|notification|delay|has failed|incomplete|unsuccessful)|"
    r"(?:mail|message|e-?mail) (?:system )?(?:error|fail|undeliver|delivery|could not|not delivered|"
    r"status|notification|rejected|returned|delayed|you sent|quota)|"
    r"returned (?:to sender|mail|message)|return(?:ed)? mail|returning (?:mail|message)|"
    r"failure (?:notice|delivery|notification)|failed (?:mail|delivery|message)|"
    r"delivery (?:to|of|has been)|delayed (?:mail|delivery)|non[- ]?deliver|ndn\b|ndr\b|bounce|rejected|"
    r"unable to deliver|"
    r"not member article|invalid mail found|could not (?:send|deliver)|error (?:sending|delivering|"
    r"mail)|unknown (?:user|recipient|address)|"
    r"user unknown|"
    r"(?:warning: )?(?:could not send message|message (?:still|has not))|dsn|mailer-daemon|"
    r"permanent (?:delivery )?failure|"
    r"your (?:message|mail|e-?mail) (?:to|could|was|has|cannot|not)|"
    r"wichtig: |unzustellbar|nicht zustellbar|zustellung|fehler|nachricht nicht|"
    r"non remis|message non|notification d['’]état de remise|[eé]chec|erreur|avis de non|courrier non|"
    r"retour de courrier|"
    r"no se puede entregar|no entregado|notificaci[oó]n de|error de entrega|fallo|devoluci[oó]n|"
    r"non recapitabile|mancat[ao]|impossibile recapitare|notifica|"
    r"não (?:é possível|foi)|n[ãa]o entregue|falha|mensagem n|devolu|impossível|"
    r"onbestelbaar|niet (?:bezorgd|afgeleverd)|bezorging|"
    r"olevererbar|kan inte levereras|leverans|kunne ikke|kan ikke leveres|ikke leveret|uleverbar|"
    r"kan ikke levere|"
    r"toimittamat|ei voitu|perille|nedoručitel|nedorucitel|nedoručen|niedostarcz|nie (?:można|dostarcz)|"
    r"kézbesíthetetlen|sikertelen|"
    r"αδύνατη|nelivr|teslim edilemedi|iletilemedi|"
    r"недоставлен|не доставлен|ваше сообщение не|ошибка|возврат|сообщение не|невозможно|"
    r"לא ניתן|"
    r"配信|配送|送信|メール(?:エラー|を|が|配)|メッセージを|エラー|宛先|"
    r"退信|系统退信|系統退信|邮件(?:无法|退|投递)|無法(?:傳遞|遞送)|无法(?:传递|投递|送达)|未传递|未傳遞|"
    r"배달|전송|반송|메일 (?:전송|발송)"
    r")"
)

_DASHES = r"(?<!-)-++ ?"  # from the first of them: else a long rule is tried from each

# What only a program says of itself: enough where nothing in the header speaks for a notice.
SURE_OPENINGS = any_of(
    _DASHES + r"non-delivery report",
    r"your message with subject: .{1,200} could not be delivered to the following recipients",
    r"this is the (?:qmail-send program|postfix program|mail system at host|mail delivery (?:agent|"
    r"system)|mailer-daemon)",
    r"this is the dragonfly mail agent",
    r"i am the fml ml manager",
    r"this message was created automatically by (?:the )?(?:mail|our) (?:delivery )?(?:software|system|"
    r"server)",
    r"this is an automatically generated delivery status notification",
    r"this is a delivery status notification",
    r"this report relates to a message you sent",
    _DASHES + r"(?:the following addresses had|transcript of session follows|failure reasons|"
    r"message log follows)",
    r"your mail sent on:",
    r"您(?:发送)?的邮件(?:已被|已|被)退回|您(?:發送)?的郵件(?:已被|已|被)退回",
)

# What a notice says of itself in its first lines; it needs a machine's signal in the header beside it.
OPENINGS = any_of(
    r"this is the qmail-send program",
    r"i'm afraid i wasn't able to deliver (?:your|the) ",
    r"this message was created automatically by (?:the )?(?:mail|our) (?:delivery )?(?:software|system|"
    r"server)",
    r"this is the (?:postfix|mail system|dragonfly|mail delivery|mail system|mailer|courier|mail relay|"
    r"mta|smtp)\b.{0,60} (?:at|program|system|agent)",
    r"this is the mailer-daemon",
    r"this is (?:an? )?(?:automatically|automatic)[a-z -]* (?:delivery|"
    r"generated) (?:delivery )?(?:status|failure)",
    r"this is a delivery status notification",
    r"this report relates to a message you sent",
    r"your mail sent on:",
    _DASHES + r"the following addresses had",
    _DASHES + r"transcript of session follows",
    _DASHES + r"failure reasons",
    _DASHES + r"failed addresses follow",
    _DASHES + r"message log follows",
    r"(?:sorry, )?(?:we were |i was |was |we are )?unable to deliver (?:your |the )?(?:message|mail|"
    r"e-?mail)",
    r"delivery (?:to|of|has)[^.]{0,40}(?:recipients?|address|message)[^.]{0,30}(?:failed|delayed|aborted)",
    r"delivery has failed",
    r"your (?:e-?mail |mail )?(?:message|mail|e-?mail)[^.]{0,60} (?:could not|cannot|can't|couldn't|"
    r"was not|wasn't|did not|has not|can not|will not|were not)"
    r" (?:be |been |able )?(?:deliver|sent|reach|to be)",
    r"(?:the |a )?message (?:that )?you(?: have)? sent (?:to )?[^.]{0,60}(?:could not|cannot|couldn't|"
    r"was not|has not|was) (?:be |been )?(?:deliver|sent|undeliver|reject)",
    r"(?:was not|could not be|cannot be|couldn't be) delivered to[ :]",
    r"did not reach the following recipient",
    r"could ?n[o']t be delivered (?:because|to)",
    r"we had trouble delivering your message",
    r"manager for the ml ",
    r"no valid recipients for",
    r"message could not be delivered",
    r"a message that you sent contained",
    r"an error (?:has )?occurred while (?:attempting|trying) to deliver",
    r"there was an error delivering",
    r"was automatically rejected",
    r"votre message n'a pas pu",
    r"the following (?:message|recipients?|address(?:es)?|mail)[^.]{0,40}(?:undeliver|fail|could not|"
    r"were affected|cannot|not be|reject|had|did not receive)",
    r"message from .{1,60}\.?$",
    r"diagnostic information for administrators",
    r"technical report:",
    r"generating server:",
    r"final-recipient:",
    r"rcpt to:",
    r"the original message was received at",
    r"for further assistance, (?:please )?(?:send mail|contact)",
    r"undeliverable to ",
    r"(?:unknown user|invalid final delivery userid|delivery userid|user mailbox exceeds allowed size): ",
    r"delivery failed \d+ attempts",
    r"以下のメールアドレスへの送信に失敗",
    r"送信できませんでした|配信できません|配送できません|お届けできません|届けることができません",
    r"не может быть доставлено|не (?:было|удалось) достав",
    r"(?:konnte|wurde) nicht (?:an|zugestellt|übermittelt)|nicht zugestellt werden|"
    r"fehler bei der nachrichtenzustellung",
    r"n['’]a pas pu être (?:remis|délivr|transmis|envoy)|échec de la remise|n['’]a pas été remis",
    r"no se (?:ha podido|pudo|ha entregado|puede) (?:entregar|enviar)?|error de la entrega",
    r"non è stato (?:possibile )?(?:recapita|consegna|inviat)|recapito non riuscito|impossibile recapitare",
    r"não (?:pôde|foi possível|pode|foi) (?:ser )?entreg|falha na entrega|impossível entregar",
    r"kon niet (?:worden )?(?:bezorg|afgelever)|is niet bezorgd|kan niet worden (?:bezorg|afgelever)",
    r"nie (?:można|mogła|udało|została?) (?:się )?(?:dostarcz|być dostarcz)|dostarczenie nie powiodło",
    r"kunde inte levereras|kunne ikke leveres|ei voitu toimittaa|nebylo? (?:možné )?doruč|"
    r"nem (?:sikerült|lehetett) kézbesíteni",
    r"无法(?:传递|送达|投递|发送)|未能(?:送达|投递)|投递失败|無法(?:傳遞|送達|遞送)|退信",
    r"배달되지|전송되지|전달할 수 없|보낼 수 없|배달하지 못",
    r"teslim edilemedi|iletilemedi",
)

# Where the returned mail begins within the text of a notice.
RETURNED = any_of(
    r"^[\s>]*+[-=|*_~#+:]*+\s*+(?:"
    r"(?:below this line is|this is|below is|here is|included is|following is|what follows is|"
    r"attached is|the following is) (?:a |the )?"
    r"(?:copy|header|original|returned)|"
    r"(?:the )?(?:header|text|body|start|beginning|copy|first \d+ (?:lines|"
    r"bytes))s? (?:part )?of (?:the |your )?(?:original |returned |undelivered )?(?:message|mail|e-?mail)|"
    r"(?:your |the )?(?:original|returned|unsent|undelivered|bounced) (?:message|mail|e-?mail)s?"
    r"(?: info| text| headers?| header fields| follows| body| is| data| below| attached)*\s*[:.]*\s*[-=|"
    r"*_~#]*\s*$|"
    r"(?:your |the )?(?:original |returned |unsent )(?:message|mail|e-?mail) ?(?:headers? |text |"
    r"body )?(?:follows|is attached|is below|begins)|"
    r"(?:original )?message (?:headers?|text|contents|body|header)\s*(?:follows?)?\s*[:.]*\s*[-=|"
    r"*_~#]*\s*$|"
    r"message (?:headers?|text|contents) follows?|"
    r"original mail info|(?:begin|start|beginning)(?: of)?(?: the)? (?:original|returned|undelivered)|"
    r"message non-deliverable|"
    r"en-?t[êe]tes? (?:de message )?d['’]origine|en-t[êe]tes de message|(?:ursprüngliche|"
    r"original)[- ]?nachrichten?kopf(?:zeilen)?|ursprüngliche nachrichtenkopfzeilen|"
    r"encabezados de(?:l)? mensaje original|cabeceras originales|"
    r"intestazioni(?: del)? messaggio originale|cabeçalhos? (?:da )?mensag(?:em|ens) origina(?:l|is)|"
    r"oorspronkelijke (?:berichtkoppen|bericht)|copia del|kopie der|copie du"
    r")"
)

# The start of a list of failed addresses; the lines after it are read as addresses and their reasons.
LIST_STARTS = any_of(
    r"(?:following|these|this|one or more|some|all|listed)\b.{0,60}\b(?:address|recipient|destination|"
    r"user|mailbox|group|member|person|people)"
    r"|(?:address|recipient|destination)(?:\(?e?s\)?)? (?:failed|had|were|was|has|have|could|cannot)"
    r"|did not reach|not delivered to|could not be delivered to|delivery (?:to|failed)|undeliverable|"
    r"unable to deliver|failed addresses|failure reasons"
    r"|delivered to|(?:recipient|addresse)s?\b.{0,40}:$"
    r"|empfänger|destinataire|destinatari|ontvanger|geadresseerde|odbiorc|получател|адрес|mottagare|"
    r"modtager|címzett|příjemc|受信者|宛先|アドレス|收件人|收信人|받는 사람|수신"
)

# "Recipient: <a@b>" and its kin; the address stands alone behind the key.
KEYS = any_of(
    r"^[\s*>|-]*+(?:recipient|error-for|(?:failed|invalid|original|final|undeliverable|rejected|intended|"
    r"bad|destination|envelope|delivery failed)[- ](?:recipient|address|mailbox)(?:\(?e?s\)?)?"
    r"|recipient[- ](?:address|name|e-?mail)|addressed to|e-?mail address|failed address|mail address|"
    r"envelope to|rcpt to|destination|final-recipient|original-recipient|x-actual-recipient"
    r"|user|address|to whom|受信者|宛先|empfänger|destinataire|destinatario|收件人(?:/to)?)"
    r"\s*+(?:is|was)?\s*+[:=：]\s*+[<\"'(\[]*+(?:rfc822;|smtp:|mailto:|\s)*+[<\"'(\[]*+(?=[^\s@<>]+@)"
)

# A line (or two, joined) that tells of a failure and names the address within the sentence.
SENTENCES = any_of(
    r"manager for the ml\W{0,4}\s*$",
    r"(?:error|failed|failure|unable|fail|problem)s?\b.{0,60}\b(?:deliver|send|deliver(?:ing|y)|relay|"
    r"transmit).{0,60}\b(?:to|for|message to|mail to|address)\b\W{0,4}\s*$",
    r"(?:unable|failed|failure|could not|cannot|can't|couldn't|was not|wasn't|"
    r"not) (?:to )?(?:be )?(?:deliver|sent|send|reach)[a-z]*\b.{0,60}\b(?:to|for|recipient|address|"
    r"mailbox|user|recipients)\b\W{0,4}\s*$",
    r"(?:unknown|invalid|no such|bad|illegal|rejected|undeliverable|refused|"
    r"nonexistent)\b.{0,30}(?:user|recipient|userid|address|mailbox|to|local part)\W{0,4}\s*$",
    r"(?:exceeds allowed size|over quota|mailbox full|mailbox is full|user unknown|account disabled|"
    r"delivery failed(?: \d+ attempts)?|delivery userid)\W{0,4}\s*$",
    r"did not reach (?:the )?(?:following )?recipients?\W{0,4}\s*$",
    r"(?:message|mail|e-?mail),? (?:(?:that )?you sent )?(?:to|for|addressed to)(?: the)?(?: address|"
    r" recipient)?\W{0,4}\s*$",
    r"delivery (?:to|for|of your message to)(?: the)?(?: following)?(?: address| recipient|"
    r" recipients)?\W{0,4}\s*$",
    r"(?:couldn't|could not|cannot|can't) (?:find|locate|deliver to)(?: the)?(?: user| recipient|"
    r" address| mailbox)?\W{0,4}\s*$",
    r"\b(?:user|account|mailbox|recipient|address)\b\W{0,4}\s*$",
    r"(?:收件人|收信人|地址|用户|用戶|邮箱|郵箱|宛先|アドレス|受信者|수신자|주소|получател\w{0,4}|"
    r"адрес\w{0,3}|ящик\w{0,3})[^\x00-\x7f]{0,12}\W{0,4}\s*$",
    r"(?:nicht an|no se (?:ha entregado|ha podido entregar|pudo entregar) a|n['’]a pas (?:pu être |été )"
    r"(?:remis|distribué|envoyé|transmis)e? à|non è stato (?:recapitato|consegnato|inviato) a|"
    r"não (?:foi|pôde ser) entregue a|niet (?:bezorgd|afgeleverd) (?:aan|bij))\W{0,4}\s*$",
    r"(?:empfänger|adresse|destinataire|destinatario|dirección|indirizzo|ontvanger|adres|"
    r"odbiorca)\w{0,3}\W{0,4}\s*$",
)

# What makes words beside an address a reason for its failure.
FAILURE_WORDS = any_of(
    r"(?<![\d.])[45]\d\d(?:[ -]|$)",
    r"(?<![\d.])#?[45]\.\d{1,3}\.\d{1,3}(?![\d.]*\d)",
    r"fail|fatal|undeliver|unknown|reject|refus|not (?:be )?(?:deliver|exist|found|listed|known|accept|"
    r"recogn)|n[o']t exist|unable|cannot|can't|couldn't|could not",
    r"not a? ?member|not relayed|invalid|error|full|quota|exceed|denied|disabled|no such|expired|"
    r"timed out|time-?out|unrouteable|"
    r"unavailable|deferred|suspended|does(?: not|n't)|bounce",
    r"did not|malformed|incorrect|illegal|moved|no (?:mailbox|mail ?box|user|account|route|mx|such)|"
    r"wasn.t found|could not be found|aborted|delay|isn't|not active|blocked|spam|too (?:big|large)",
    r"не |ошибк|不|無法|无法|できま|ありません|존재|없|nicht|inconnu|introuvable|no existe|no se |non |não|"
    r"niet|nie ",
)

# The notice is about a delay: the server keeps trying.
DELAYED = any_of(
    r"this is a warning (?:message )?only",
    r"you do not need to (?:re)?send",
    r"(?:has been|is|was|been) delayed",
    r"is delayed for more than",
    r"not yet been delivered",
    r"still being retried",
    r"(?:delivery|message) (?:attempts )?will (?:be retried|continue)",
    r"it will be retried until",
    r"temporary failure report",
    r"still (?:in the queue|trying|undelivered|could not)",
    r"could not be delivered (?:for more than|in the last|after) .{0,30} (?:hour|minute)s?.{0,20}will",
    r"delayed \d+ hours",
)
DELAYED_SUBJECTS = any_of(
    r"delay|: warning$|warning: (?:could not send|message)|still being retried|will be retried|"
    r"verzögert|retardé|отложен"
)

# The mail waits until its sender answers (TMDA, Boxbe and the like): it has not failed.
CHALLENGES = any_of(
    r"(?:is|was|has been) (?:being )?held (?:because|until|pending)[^.]{0,80}(?:verif|confirm|address)",
    r"to release your (?:message|e-?mail|mail)",
    r"(?:message|mail) will be delivered (?:once|when|as soon as|after) you (?:confirm|verify|reply|click)",
    r"confirm (?:that )?you are (?:a (?:person|human)|not (?:a )?spam)",
)

# Vacation responders that come with the null sender: their subjects are told in ``automatic``.
REPORT_TYPES = frozenset(("message/delivery-status", "message/global-delivery-status"))
RETURNED_TYPES = frozenset(
    (
        "message/rfc822",
        "text/rfc822-headers",
        "message/rfc822-headers",
        "message/global",
        "message/global-headers",
        "message/partial",
        "message/news",
    )
)
SUCCESSFUL_ACTIONS = frozenset(("delivered", "relayed", "expanded", "deliverable", "success"))
