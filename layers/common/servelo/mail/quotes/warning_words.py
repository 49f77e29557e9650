"""What the warnings are made of that gateways put above a mail's words, by language. Data only.

Patterns of whole sentences in ``casefold``, since a sentence of an author may begin like one. Loaded for a
mail that begins with a word of ``inserted.OF_WARNINGS``.
"""

from __future__ import annotations

# What says of this mail that it came from outside.
FROM_OUTSIDE: dict[str, str] = {
    "en": (
        r"this (?:e-?mail|message|mail)(?: message)? (?:has |was |is )?(?:been )?"
        r"(?:originat(?:ed|es|ing) |sent |comes |came |coming |received )?(?:from )?"
        r"(?:(?:an? )?external (?:sender|source|e-?mail|address|system|domain)(?: address)?"
        r"|(?:someone )?outside(?: of)?(?: (?:the|your|our"
        r"|this))?(?: [\w.&'’-]{2,30}){0,2}? (?:organi[sz]ation|company"
        r"|network|university|institution|domain|firm|college|school|group|agency|department|tenant"
        r"|corporation"
        r"|system|city|county|government))"
        r"|this (?:e-?mail|message|mail) originat(?:ed|es) (?:from )?outside"
    ),
    "de": (
        r"diese (?:e-?mail|mail|nachricht) (?:kommt|stammt|wurde|ist) (?:von |aus )?(?:einem |einer )?"
        r"(?:externen? (?:absender|quelle|system)(?: gesendet| verschickt)?"
        r"|ausserhalb (?:der|des|ihrer|unserer|ihres|unseres) (?:organisation|unternehmens|firma)"
        r"(?: gesendet| verschickt)?)"
    ),
    "fr": (
        r"ce(?:t e-?mail|t email| courriel| message| mail) (?:provient|vient|a été envoyé|émane) "
        r"(?:de l['’]extérieur|d['’]un expéditeur externe|d['’]une source externe|d['’]une adresse externe)"
        r"(?: (?:de|du|à|l['’]|la|votre|notre|l['’]organisation|l['’]entreprise|organisation|entreprise"
        r"|société)){0,5}+"
    ),
    "es": (
        r"este (?:correo(?: electrónico)?|mensaje|e-?mail) (?:proviene|procede|se originó|fue enviado"
        r"|ha sido enviado"
        r"|se envió) (?:de|desde) (?:fuera|un remitente externo|una fuente externa|el exterior)"
        r"(?: (?:de|la|su|nuestra|organización|empresa|compañía|entidad)){0,5}+"
    ),
    "it": (
        r"quest(?:a e-?mail|a email|a mail|o messaggio) (?:proviene|arriva|è stat[ao] inviat[ao]) "
        r"(?:da un mittente esterno|dall['’]esterno|da una fonte esterna|da un indirizzo esterno)"
        r"(?: (?:dell['’]organizzazione|dell['’]azienda|della|società|all['’]organizzazione"
        r"|all['’]azienda)){0,3}+"
    ),
    "nl": (
        r"(?:deze (?:e-?mail|mail)|dit (?:bericht|e-mailbericht)) (?:is afkomstig|komt|is verzonden"
        r"|werd verzonden) "
        r"(?:van|door) (?:buiten|een externe afzender|een externe bron)"
        r"(?: (?:de|uw|onze|organisatie|het|bedrijf|van)){0,4}+"
    ),
    "pt": (
        r"est[ea] (?:e-?mail|mensagem) (?:foi enviad[oa]|veio|originou-se|provém|teve origem) (?:de|por"
        r"|em) "
        r"(?:fora|um remetente externo|uma fonte externa)(?: (?:da|de|sua|nossa|organização|empresa)){0,4}+"
    ),
    "pl": (
        r"ta wiadomość(?: e-?mail)? (?:pochodzi|została wysłana|przyszła) (?:spoza"
        r"|od nadawcy zewnętrznego|z zewnątrz)"
        r"(?: (?:organizacji|firmy|naszej|twojej)){0,3}+"
    ),
    "sv": (
        r"det(?:ta|här|) (?:här )?(?:e-postmeddelandet?|meddelandet?|mejlet?|mailet?) (?:kommer"
        r"|skickades|har skickats) "
        r"från (?:en extern avsändare|utanför|extern)(?: (?:organisationen|företaget|din|vår)){0,3}+"
    ),
    "da": (
        r"denne (?:e-?mail|mail|besked) (?:er sendt|kommer|stammer|blev sendt) (?:fra |udefra )?"
        r"(?:en ekstern afsender|uden for (?:din |vores )?(?:organisationen|organisation|virksomheden"
        r"|virksomhed))"
    ),
    "no": (
        r"denne (?:e-?posten|meldingen|mailen) (?:er sendt|kommer|stammer|ble sendt) (?:fra |utenfra )?"
        r"(?:en ekstern avsender|utenfor (?:din |vår )?(?:organisasjonen|organisasjon|virksomheten"
        r"|virksomhet))"
    ),
    "fi": (
        r"tämä (?:viesti|sähköposti) (?:on |)(?:lähetetty|tuli|tulee|saapui|peräisin) "
        r"(?:organisaation ulkopuolelta|ulkopuoliselta lähettäjältä)"
    ),
    "cs": (
        r"t(?:ato zpráva|ento e-?mail) (?:pochází|byla? odeslána?|přišla?|přišel) "
        r"(?:mimo organizaci|od externího odesílatele|z externího zdroje|zvenčí)"
    ),
    "ru": (
        r"это (?:письмо|сообщение) (?:было |)(?:отправлено|получено|пришло) (?:от внешнего отправителя"
        r"|из-за пределов организации|из внешнего источника|извне)"
    ),
    "ja": (
        r"このメールは(?:社外|外部|組織外)(?:の(?:送信者|アドレス))?から(?:送信|配信)"
        r"されて?(?:います|ました|たものです)"
    ),
    "zh": (
        r"(?:此|本|该|這封|这封)(?:邮件|郵件)(?:来自|來自|源自)(?:组织|公司|組織)?外部"
        r"(?:的)?(?:发件人|寄件者|邮箱|地址|网络|组织)?"
    ),
}
# Microsoft's tip about a new sender, up to the address; and what comes behind it.
SAFETY_TIPS: dict[str, str] = {
    "en": r"(?:you|some people who received this message) (?:don['’]t|do not) often get e-?mail from",
    "de": r"sie (?:erhalten|bekommen) nicht (?:oft|häufig) (?:eine )?e-?mails? von",
    "fr": (
        r"vous n(?:['’]obtenez|e recevez) pas souvent (?:d['’]e-?mails?|de courriers?)(?: électroniques?)?"
        r"(?: à partir| de la part)? (?:de|d['’])"
    ),
    "es": r"no (?:suele recibir|recibe a menudo|suele obtener) correos?(?: electrónicos?)? de",
    "it": r"non si riceve spesso (?:un messaggio di posta elettronica|posta elettronica|e-?mail) da",
    "nl": r"u (?:ontvangt|krijgt) niet vaak e-?mail(?:s|berichten)? van",
    "pt": r"(?:você )?não costuma receber e-?mails? de",
    "pl": r"nie otrzymujesz często wiadomości e-?mail (?:z|od)",
    "sv": r"du får inte ofta e-?post från",
    "da": r"du får ikke ofte (?:mails?|e-?mails?) fra",
    "no": r"du får ikke ofte e-?post fra",
}
LEARN_MORE = (
    r"learn why this is important(?: at)?|erfahren sie,? warum dies wichtig ist|weitere informationen"
    r"|(?:découvrez )?pourquoi (?:c['’]est|cela est) important|por qué esto es importante"
    r"|obtener más información"
    r"|informazioni sul perché è importante|meer informatie over waarom dit belangrijk is"
    r"|saiba (?:por ?que|mais)[^.]{0,30}|läs (?:mer )?om varför det här är viktigt"
    r"|få mere at vide[^.]{0,40}"
    r"|finn ut hvorfor[^.]{0,30}|dowiedz się[^.]{0,40}"
)
# What such a warning advises.
ADVICE: dict[str, str] = {
    "en": (
        r"(?:please )?(?:do not|don['’]t|never) (?:click(?: on)?|open|follow)(?: (?:on|any|or|and|open"
        r"|click|to|enter"
        r"|credentials|provide|information|personal|sensitive|download|images))*+ (?:links?"
        r"|attachments?)(?: (?:or|and"
        r"|open|click|on|any|links?|attachments?|in|this|message|e-?mail|unless|until|you|recogni[sz]e"
        r"|trust|know"
        r"|verify|have|verified|can|confirm|the|sender|content|is|safe|are|expecting|it|were|source"
        r"|that|of|from"
        r"|sender['’]s|address|expect|reply|respond|forward)){0,40}+"
        r"|(?:please )?(?:exercise|use|take) (?:extra )?caution(?: (?:when|while|before|with|in|opening"
        r"|clicking"
        r"|responding|replying|to|on|any|links?|or|and|attachments?|from|external|senders?|this|e-?mail"
        r"|message"
        r"|content)){0,16}+"
        r"|(?:please )?(?:be cautious|treat with caution)(?: (?:when|while|with|opening|clicking|links?"
        r"|attachments?"
        r"|or|and|on)){0,10}+"
        r"|(?:please )?verify the sender(?: (?:before|opening|clicking|links?|attachments?|or|and"
        r"|on)){0,8}+"
    ),
    "de": (
        r"(?:bitte )?(?:klicken|öffnen) sie (?:keine|nicht)\b[^.]{0,60}\b(?:links?|anhänge|anlagen"
        r"|dateianhänge)"
        r"[^.]{0,100}"
    ),
    "fr": r"(?:ne cliquez|n['’]ouvrez) (?:pas|aucun)\b[^.]{0,60}\b(?:liens?|pièces? jointes?)\b[^.]{0,120}",
    "es": r"no (?:haga clic|abra)\b[^.]{0,60}\b(?:enlaces?|vínculos?|archivos|adjuntos)\b[^.]{0,120}",
    "it": r"non (?:fare clic|cliccare|aprire)\b[^.]{0,60}\b(?:link|collegamenti|allegati)\b[^.]{0,120}",
    "nl": r"(?:klik niet|open geen)\b[^.]{0,60}\b(?:links?|koppelingen|bijlagen?)\b[^.]{0,120}",
    "pt": r"não (?:clique|abra)\b[^.]{0,60}\b(?:links?|anexos?)\b[^.]{0,120}",
    "pl": r"nie (?:klikaj|otwieraj)\b[^.]{0,60}\b(?:link\w{0,4}|łącz\w{0,4}|załącznik\w{0,4})\b[^.]{0,120}",
    "sv": r"(?:klicka inte|öppna inte)\b[^.]{0,60}\b(?:länkar|bilagor|bifogade filer)\b[^.]{0,120}",
    "da": r"(?:klik ikke|åbn ikke)\b[^.]{0,60}\b(?:links?|vedhæftede filer|vedhæftninger)\b[^.]{0,120}",
    "no": r"(?:klikk ikke|ikke klikk|åpne ikke)\b[^.]{0,60}\b(?:lenker|koblinger|vedlegg)\b[^.]{0,120}",
    "fi": r"älä (?:napsauta|avaa)\b[^.]{0,60}\b(?:linkkejä|liitteitä)\b[^.]{0,120}",
    "cs": r"ne(?:klikejte|otevírejte)\b[^.]{0,60}\b(?:odkazy|přílohy)\b[^.]{0,120}",
    "ru": r"не (?:переходите|открывайте|нажимайте)\b[^.]{0,60}\b(?:ссылк\w{0,3}|вложени\w{0,3})\b[^.]{0,120}",
    "zh": r"请?勿(?:点击|打开)[^。]{0,20}(?:链接|附件)[^。]{0,40}",
}
# Its title.
TITLES = (
    r"(?:caution|warning|attention|alert|notice|external(?: (?:e-?mail|mail|sender|message))?|achtung"
    r"|vorsicht|warnung"
    r"|hinweis|extern(?:e (?:e-?mail|mail))?|externer absender|avertissement|externe|courriel externe"
    r"|let op"
    r"|waarschuwing|precaución|advertencia|atención|externo|correo externo|attenzione|email esterna"
    r"|esterno|atenção"
    r"|cuidado|uwaga|varning|obs|advarsel|varoitus|upozornění|внимание|注意|警告)"
)
THIS_IS_EXTERNAL = r"this (?:message|e-?mail) is from an external (?:sender|source)"
