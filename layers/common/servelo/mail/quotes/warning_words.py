"""What the warnings are made of that gateways put above a mail's words, by language. Data only.

Patterns of whole sentences in ``casefold``, since a sentence of an author may begin like one. Loaded for a
mail that begins with a word of ``inserted.OF_WARNINGS``.
"""

from __future__ import annotations

# What says of this mail that it came from outside.
FROM_OUTSIDE: dict[str, str] = {
    "en": (
        r"th(?:is|e) (?:e-?mail|message|mail)(?: message)? (?:has |was |is )?(?:been )?(?:originat(?:ed"
        r"|es|ing)|sent"
        r"|comes|came|coming|received|is|was)?(?: from)?(?: an?| someone)? (?:outside|external)"
        r"(?: (?:of|to|the|your|our|this|sender|source|e-?mail|address|organi[sz]ation|company|network"
        r"|university"
        r"|institution|domain|system|firm|college|school|group|agency|department|tenant|corporate|and"
        r"|may|be|unsafe)"
        r"){0,7}+(?: [\w.'&-]{1,30}){0,2}"
    ),
    "de": (
        r"diese (?:e-?mail|mail|nachricht) (?:kommt|stammt|wurde|ist) (?:von |aus )?(?:einem |einer )?"
        r"(?:externen? (?:absender|quelle|system)|ausserhalb)"
        r"(?: (?:der|des|ihrer|unserer|ihres|unseres|organisation|unternehmens|firma|gesendet"
        r"|verschickt|und|ist|nicht"
        r"|vertrauenswürdig)){0,5}+"
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
        r"denne (?:e-?mail|mail|besked) (?:er sendt|kommer|stammer|blev sendt) (?:fra|udefra)"
        r"(?: (?:en|ekstern|afsender|uden|for|organisationen|virksomheden|din|vores)){0,5}+"
    ),
    "no": (
        r"denne (?:e-?posten|meldingen|mailen) (?:er sendt|kommer|stammer|ble sendt) (?:fra|utenfra)"
        r"(?: (?:en|ekstern|avsender|utenfor|organisasjonen|virksomheten|din|vår)){0,5}+"
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
        r"(?:please )?(?:do not|don['’]t|never) (?:click(?: on)?|open|follow|reply|respond"
        r"|forward)\b(?: (?:on|any|links?"
        r"|or|and|attachments?|open|click|to|this|message|e-?mail|enter|credentials|provide|information"
        r"|personal"
        r"|sensitive|in|unless|until|you|recogni[sz]e|trust|know|verify|have|verified|can|confirm|the"
        r"|sender|content|is"
        r"|safe|are|expecting|it|were|source|that|of|from|sender['’]s|address|images|download"
        r"|expect)){1,40}+"
        r"|(?:please )?(?:exercise|use|take) (?:extra )?(?:caution|care)\b[^.]{0,120}"
        r"|(?:please )?(?:be cautious|be careful|verify the sender|treat with caution)\b[^.]{0,120}"
    ),
    "de": (
        r"(?:bitte )?(?:klicken|öffnen) sie (?:keine|nicht)\b(?: (?:auf|links?|und|oder|anhänge|anlagen"
        r"|öffnen|wenn|sie"
        r"|den|absender|nicht|kennen|keine|es|sei|denn|dem|vertrauen|der|inhalt|sicher|ist"
        r"|dateianhänge)){1,25}+"
        r"|(?:bitte )?seien sie (?:vorsichtig|achtsam)\b[^.]{0,100}"
    ),
    "fr": r"(?:ne cliquez|n['’]ouvrez) (?:pas|aucun)\b[^.]{0,160}|soyez (?:prudents?|vigilants?)\b[^.]{0,80}",
    "es": r"no (?:haga clic|abra)\b[^.]{0,160}|tenga cuidado\b[^.]{0,80}",
    "it": r"non (?:fare clic|cliccare|aprire)\b[^.]{0,160}|prestare attenzione\b[^.]{0,80}",
    "nl": r"(?:klik niet|open geen)\b[^.]{0,160}|wees voorzichtig\b[^.]{0,80}",
    "pt": r"não (?:clique|abra)\b[^.]{0,160}",
    "pl": r"nie (?:klikaj|otwieraj)\b[^.]{0,160}|zachowaj ostrożność\b[^.]{0,80}",
    "sv": r"(?:klicka inte|öppna inte)\b[^.]{0,160}|var försiktig\b[^.]{0,80}",
    "da": r"(?:klik ikke|åbn ikke)\b[^.]{0,160}",
    "no": r"(?:klikk ikke|ikke klikk|åpne ikke)\b[^.]{0,160}",
    "fi": r"älä (?:napsauta|avaa)\b[^.]{0,160}",
    "cs": r"ne(?:klikejte|otevírejte)\b[^.]{0,160}",
    "ru": r"не (?:переходите|открывайте|нажимайте)\b[^.]{0,160}",
    "zh": r"请?勿(?:点击|打开)[^。]{0,60}",
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
