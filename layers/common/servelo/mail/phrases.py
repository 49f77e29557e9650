"""The fixed phrases of our mails in the languages a tenant can choose.

A phrase is a format string; its names are the same in every language (a test compares them). Addressed
formally where the language makes a difference: the reader may be anybody's customer. Portuguese is Brazil's,
which is what ``pt`` without a region means (CLDR); roles are named so that they fit anybody.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation

from servelo.records import dataclass

DEFAULT_LOCALE = "en"


@dataclass(frozen=True, slots=True)
class Language:
    """One language: its phrases and how it writes dates and numbers.

    Attributes:
        date_form: with ``{day}``, ``{month}`` (its name) and ``{year}``.
        months: twelve names, parted by spaces.
        group, point: the thousands separator and the decimal separator.
        first_day: how the first of a month is written.
        colon: with the space that may stand before it.
    """

    locale: str
    date_form: str
    months: str
    group: str
    point: str
    phrases: dict[str, str]
    first_day: str = "1"
    colon: str = ":"

    def phrase(self, name: str, /, **values: object) -> str:
        """Return the phrase *name* with *values* filled in; braces in values are left alone."""
        return self.phrases[name].format(**values)

    def has(self, name: str) -> bool:
        return name in self.phrases

    def date(self, day: date) -> str:
        number = self.first_day if day.day == 1 else day.day
        return self.date_form.format(day=number, month=self.months.split()[day.month - 1], year=day.year)

    def date_text(self, text: str) -> str:
        """Return an ISO 8601 date or date-time in words, times in UTC; anything else as it is."""
        try:
            if len(text) == 10:
                return self.date(date.fromisoformat(text))
            moment = datetime.fromisoformat(text)
        except ValueError:
            return text
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC)
        return f"{self.date(moment.date())}, {moment:%H:%M} UTC"

    def amount(self, value: object) -> str:
        """Return a number with two decimals as the language writes it; a string is shown as it is."""
        if isinstance(value, str):
            return value
        try:
            number = f"{Decimal(str(value)):,.2f}"
        except (InvalidOperation, ValueError):
            return str(value)
        return number.replace(",", "\0").replace(".", self.point).replace("\0", self.group)


def language(locale: str) -> Language:
    """Return the language of *locale* (``de``, ``de-AT``, ``de_AT``), English for one we do not have."""
    return LANGUAGES.get(locale.lower().replace("_", "-").partition("-")[0], LANGUAGES[DEFAULT_LOCALE])


_ENGLISH = {
    "marker": "Please type your reply above this line",
    "greeting": "Hello {name},",
    "greeting_plain": "Hello,",
    "service": "Servelo Mail",
    "via": "via",
    "confirmation_title": "We have received your message",
    "confirmation_text": (
        "Thank you for writing to {tenant}. Your request has the number {tag}. We will answer as "
        "soon as we can."
    ),
    "confirmation_more": "To add something, just reply to this mail.",
    "you_wrote": "You wrote",
    "subject": "Subject",
    "from": "From",
    "notification_new": "New request {tag}",
    "notification_reply": "New reply on {tag}",
    "notification_held": "A reply on {tag} waits for you",
    "unverified": "We could not prove that this mail comes from the address it shows.",
    "held": ("It stays hidden from the other side until one of the team accepts it in the portal."),
    "who_sees": "Your answer to this mail goes to {who}.",
    "truncated": "The text is longer than this mail can show; the portal has all of it.",
    "files": "Files",
    "links_expire": "Download links stop working after a few days.",
    "open_portal": "Open in the portal",
    "update_title": "{author} replied",
    "update_title_plain": "New reply",
    "reply_hint": "To answer, just reply to this mail.",
    "invoice_title": "Invoice {number}",
    "quote_title": "Quote {number}",
    "amount": "Amount",
    "due_date": "Due on",
    "valid_until": "Valid until",
    "open_invoice": "View the invoice",
    "open_quote": "View the quote",
    "open_link": "Open",
    "message_title": "A message from {tenant}",
    "test_title": "Test mail",
    "test_text": "This mail arrived, so {tenant} can send mail through these settings.",
    "test_requested": "{who} asked for it.",
    "magic_link_title": "Your requests at {tenant}",
    "magic_link_text": (
        "With this link you see your requests and can add to them. It is for you alone: please do "
        "not pass it on."
    ),
    "magic_link_button": "See my requests",
    "expires": "The link works until {when}.",
    "not_you": "If you did not ask for this, you can ignore this mail.",
    "invitation_title": "Join the team of {tenant}",
    "invitation_text": "{who} invites you to the help desk of {tenant} as {role}.",
    "invitation_text_plain": "You are invited to the help desk of {tenant} as {role}.",
    "invitation_sign_in": "You sign in with {email}.",
    "invitation_button": "Accept the invitation",
    "role_admin": "administrator",
    "role_technician": "technician",
    "explanation_title": "About the mail you sent us",
    "explanation_to": "It was written to {address}.",
    "explanation_unknown_recipient": (
        "There is no help desk at the address you wrote to, so nobody has read your mail. Please "
        "check the address."
    ),
    "explanation_token_invalid": (
        "The reply address is not complete or no longer valid, so your mail was not added to a "
        "request. Please reply to the newest mail you have from us, or write a new one."
    ),
    "explanation_tenant_suspended": "This help desk takes no mail at present. Your mail was not passed on.",
    "explanation_team_unverified": (
        "Your reply was not sent to the customer, because we could not prove that it comes from "
        "you. It is kept in the portal as an internal note. Sign in to the portal to publish it, or"
        " have your mail domain set up SPF, DKIM and DMARC."
    ),
    "explanation_not_a_member": (
        "Your reply was not sent to the customer, because your address is not in this team. It is "
        "kept as an internal note. Reply from the address you sign in with, or ask an "
        "administrator."
    ),
    "explanation_general": "We could not process your mail as you meant it. Please write to us again.",
    "explanation_once": "You are told this at most once a day.",
    "forward_title": "Mail for {to}",
    "forward_attached": "The original is attached unchanged.",
    "forward_linked": "The original is too large to attach.",
    "forward_download": "Download the original",
    "reset_title": ("Choose a new password"),
    "reset_text": (
        "Somebody, likely you, asked for a new password for your sign-in. Choose it with this "
        "link within one hour. If it was not you, do nothing: your password stays as it is."
    ),
    "breaker_title": ("Your own mail account refuses our mail"),
    "breaker_text": (
        "Mail could not be sent through your own mail account ({reason}). Nothing is lost: until "
        "it works again, mail goes out through the shared address, and answers still reach the "
        "right ticket. Open Settings, Outbound Email (SMTP), choose Configure, then Send Test: it"
        " names the field to mend."
    ),
    "sent_by": "Sent by {tenant} with Servelo Mail",
}

_SPANISH = {
    "marker": "Escriba su respuesta por encima de esta línea",
    "greeting": "Hola, {name}:",
    "greeting_plain": "Hola:",
    "service": "Servelo Mail",
    "via": "vía",
    "confirmation_title": "Hemos recibido su mensaje",
    "confirmation_text": (
        "Gracias por escribir a {tenant}. Su solicitud tiene el número {tag}. Le responderemos lo "
        "antes posible."
    ),
    "confirmation_more": "Si desea añadir algo, responda a este correo.",
    "you_wrote": "Usted escribió",
    "subject": "Asunto",
    "from": "De",
    "notification_new": "Nueva solicitud {tag}",
    "notification_reply": "Nueva respuesta en {tag}",
    "notification_held": "Una respuesta en {tag} espera su decisión",
    "unverified": ("No hemos podido comprobar que este correo proceda de la dirección que muestra."),
    "held": ("Quedará oculto para la otra parte hasta que alguien del equipo lo acepte en el portal."),
    "who_sees": "Su respuesta a este correo llegará a {who}.",
    "truncated": ("El texto es más largo de lo que cabe en este correo; el portal lo muestra entero."),
    "files": "Archivos",
    "links_expire": "Los enlaces de descarga caducan a los pocos días.",
    "open_portal": "Abrir en el portal",
    "update_title": "{author} ha respondido",
    "update_title_plain": "Nueva respuesta",
    "reply_hint": "Para contestar, responda a este correo.",
    "invoice_title": "Factura {number}",
    "quote_title": "Presupuesto {number}",
    "amount": "Importe",
    "due_date": ("Vencimiento"),
    "valid_until": "Válido hasta",
    "open_invoice": "Ver la factura",
    "open_quote": "Ver el presupuesto",
    "open_link": "Abrir",
    "message_title": "Un mensaje de {tenant}",
    "test_title": "Correo de prueba",
    "test_text": "Este correo ha llegado: {tenant} puede enviar correo con esta configuración.",
    "test_requested": ("Lo ha solicitado {who}."),
    "magic_link_title": "Sus solicitudes en {tenant}",
    "magic_link_text": (
        "Con este enlace puede ver sus solicitudes y añadir mensajes. Es solo para usted: no lo comparta."
    ),
    "magic_link_button": "Ver mis solicitudes",
    "expires": "El enlace es válido hasta el {when}.",
    "not_you": "Si no lo ha solicitado, puede ignorar este correo.",
    "invitation_title": "Únase al equipo de {tenant}",
    "invitation_text": ("{who} le invita al servicio de asistencia de {tenant} con el rol de {role}."),
    "invitation_text_plain": (
        "Ha recibido una invitación al servicio de asistencia de {tenant} con el rol de {role}."
    ),
    "invitation_sign_in": "Su usuario es {email}.",
    "invitation_button": "Aceptar la invitación",
    "role_admin": "administrador",
    "role_technician": "técnico",
    "explanation_title": "Sobre el correo que nos ha enviado",
    "explanation_to": "Iba dirigido a {address}.",
    "explanation_unknown_recipient": (
        "No existe ningún servicio en la dirección a la que escribió, así que nadie ha leído su "
        "correo. Compruebe la dirección."
    ),
    "explanation_token_invalid": (
        "La dirección de respuesta está incompleta o ya no es válida, así que su correo no se ha "
        "añadido a ninguna solicitud. Responda al último correo que recibió de nosotros o escriba "
        "uno nuevo."
    ),
    "explanation_tenant_suspended": "Este servicio no acepta correo por ahora. Su correo no se ha entregado.",
    "explanation_team_unverified": (
        "Su respuesta no se ha enviado al cliente porque no hemos podido comprobar que venga de "
        "usted. Se guarda en el portal como nota interna. Entre en el portal para publicarla o "
        "configure SPF, DKIM y DMARC en su dominio de correo."
    ),
    "explanation_not_a_member": (
        "Su respuesta no se ha enviado al cliente porque su dirección no pertenece a este equipo. "
        "Se guarda como nota interna. Responda desde la dirección con la que inicia sesión o "
        "consulte a un administrador."
    ),
    "explanation_general": (
        "No hemos podido procesar su correo como esperaba. Escríbanos de nuevo, por favor."
    ),
    "explanation_once": "Recibirá este aviso como máximo una vez al día.",
    "forward_title": "Correo para {to}",
    "forward_attached": "El original va adjunto sin cambios.",
    "forward_linked": "El original es demasiado grande para adjuntarlo.",
    "forward_download": "Descargar el original",
    "reset_title": ("Elija una contraseña nueva"),
    "reset_text": (
        "Alguien, probablemente usted, ha pedido una contraseña nueva para su cuenta. Elíjala con"
        " este enlace en el plazo de una hora. Si no ha sido usted, no haga nada: su contraseña "
        "no cambia."
    ),
    "breaker_title": ("Su propia cuenta de correo rechaza nuestros envíos"),
    "breaker_text": (
        "No se ha podido enviar correo con su propia cuenta ({reason}). No se pierde nada: hasta "
        "que vuelva a funcionar, el correo sale desde la dirección compartida y las respuestas "
        "siguen llegando a su solicitud. Abra Settings, Outbound Email (SMTP), elija Configure y "
        "después Send Test: indica el campo que debe corregir."
    ),
    "sent_by": "Enviado por {tenant} con Servelo Mail",
}

_FRENCH = {
    "marker": "Merci d’écrire votre réponse au-dessus de cette ligne",
    "greeting": "Bonjour {name},",
    "greeting_plain": "Bonjour,",
    "service": "Servelo Mail",
    "via": "via",
    "confirmation_title": "Nous avons bien reçu votre message",
    "confirmation_text": (
        "Merci d’avoir écrit à {tenant}. Votre demande porte le numéro {tag}. Nous vous répondrons "
        "dès que possible."
    ),
    "confirmation_more": "Pour ajouter quelque chose, répondez simplement à ce message.",
    "you_wrote": "Vous avez écrit",
    "subject": "Objet",
    "from": "De",
    "notification_new": "Nouvelle demande {tag}",
    "notification_reply": ("Nouvelle réponse à la demande {tag}"),
    "notification_held": ("Une réponse à la demande {tag} attend votre décision"),
    "unverified": ("Nous n’avons pas pu vérifier que ce message provient bien de l’adresse affichée."),
    "held": (
        "Il reste invisible pour l’autre partie tant qu’un membre de l’équipe ne l’a pas accepté "
        "dans le portail."
    ),
    "who_sees": "Votre réponse à ce message sera envoyée à {who}.",
    "truncated": "Le texte est trop long pour ce message ; le portail le montre en entier.",
    "files": "Fichiers",
    "links_expire": "Les liens de téléchargement expirent au bout de quelques jours.",
    "open_portal": "Ouvrir dans le portail",
    "update_title": "{author} a répondu",
    "update_title_plain": "Nouvelle réponse",
    "reply_hint": ("Il vous suffit de répondre à ce message."),
    "invoice_title": "Facture {number}",
    "quote_title": "Devis {number}",
    "amount": "Montant",
    "due_date": "Échéance",
    "valid_until": "Valable jusqu’au",
    "open_invoice": "Voir la facture",
    "open_quote": "Voir le devis",
    "open_link": "Ouvrir",
    "message_title": "Un message de {tenant}",
    "test_title": ("Message de test"),
    "test_text": ("Ce message est arrivé : {tenant} peut envoyer des messages avec ces paramètres."),
    "test_requested": ("{who} a demandé cet envoi."),
    "magic_link_title": "Vos demandes chez {tenant}",
    "magic_link_text": (
        "Ce lien vous montre vos demandes et vous permet de les compléter. Il est strictement "
        "personnel : ne le transmettez à personne."
    ),
    "magic_link_button": "Voir mes demandes",
    "expires": "Le lien est valable jusqu’au {when}.",
    "not_you": "Si vous n’êtes pas à l’origine de cette demande, ignorez ce message.",
    "invitation_title": "Rejoignez l’équipe de {tenant}",
    "invitation_text": ("{who} vous invite à rejoindre le service d’assistance de {tenant} (rôle : {role})."),
    "invitation_text_plain": (
        "Vous avez reçu une invitation à rejoindre le service d’assistance de {tenant} (rôle : {role})."
    ),
    "invitation_sign_in": "Votre identifiant est {email}.",
    "invitation_button": "Accepter l’invitation",
    "role_admin": "administrateur",
    "role_technician": "technicien",
    "explanation_title": "À propos du message que vous nous avez envoyé",
    "explanation_to": "Il était adressé à {address}.",
    "explanation_unknown_recipient": (
        "Aucun service n’existe à l’adresse indiquée : personne n’a lu votre message. Vérifiez l’adresse."
    ),
    "explanation_token_invalid": (
        "L’adresse de réponse est incomplète ou n’est plus valable : votre message n’a été ajouté à"
        " aucune demande. Répondez à notre dernier message ou écrivez-en un nouveau."
    ),
    "explanation_tenant_suspended": (
        "Ce service n’accepte pas de courrier pour le moment. Votre message n’a pas été transmis."
    ),
    "explanation_team_unverified": (
        "Votre réponse n’a pas été envoyée au client, car nous n’avons pas pu vérifier qu’elle "
        "vient bien de vous. Elle est conservée dans le portail comme note interne. Connectez-"
        "vous au portail pour la publier, ou configurez SPF, DKIM et DMARC pour votre domaine."
    ),
    "explanation_not_a_member": (
        "Votre réponse n’a pas été envoyée au client, car votre adresse ne fait pas partie de "
        "cette équipe. Elle est conservée comme note interne. Répondez depuis l’adresse de votre "
        "compte ou adressez-vous à un administrateur."
    ),
    "explanation_general": (
        "Nous n’avons pas pu traiter votre message comme prévu. Merci de nous écrire à nouveau."
    ),
    "explanation_once": "Vous recevez cet avis au plus une fois par jour.",
    "forward_title": "Message pour {to}",
    "forward_attached": "L’original est joint sans modification.",
    "forward_linked": "L’original est trop volumineux pour être joint.",
    "forward_download": "Télécharger l’original",
    "reset_title": ("Choisissez un nouveau mot de passe"),
    "reset_text": (
        "Quelqu’un, sans doute vous, a demandé un nouveau mot de passe pour votre compte. "
        "Choisissez-le avec ce lien dans l’heure qui vient. Si ce n’était pas vous, ne faites "
        "rien : votre mot de passe reste le même."
    ),
    "breaker_title": ("Votre propre compte de messagerie refuse nos envois"),
    "breaker_text": (
        "Un message n’a pas pu être envoyé par votre propre compte ({reason}). Rien n’est perdu :"
        " en attendant, les messages partent de l’adresse partagée et les réponses arrivent "
        "toujours à la bonne demande. Ouvrez Settings, Outbound Email (SMTP), choisissez "
        "Configure, puis Send Test : le champ à corriger y est indiqué."
    ),
    "sent_by": "Envoyé par {tenant} avec Servelo Mail",
}

_GERMAN = {
    "marker": "Bitte antworten Sie oberhalb dieser Zeile",
    "greeting": "Guten Tag {name},",
    "greeting_plain": "Guten Tag,",
    "service": "Servelo Mail",
    "via": "über",
    "confirmation_title": "Wir haben Ihre Nachricht erhalten",
    "confirmation_text": (
        "Vielen Dank für Ihre Nachricht an {tenant}. Ihre Anfrage hat die Nummer {tag}. Wir "
        "antworten so bald wie möglich."
    ),
    "confirmation_more": "Wenn Sie etwas ergänzen möchten, antworten Sie einfach auf diese E-Mail.",
    "you_wrote": "Sie schrieben",
    "subject": "Betreff",
    "from": "Von",
    "notification_new": "Neue Anfrage {tag}",
    "notification_reply": "Neue Antwort zu {tag}",
    "notification_held": "Eine Antwort zu {tag} wartet auf Sie",
    "unverified": (
        "Wir konnten nicht bestätigen, dass diese E-Mail wirklich von der angezeigten Adresse stammt."
    ),
    "held": ("Sie bleibt für die andere Seite unsichtbar, bis jemand aus dem Team sie im Portal annimmt."),
    "magic_link_button": "Meine Anfragen ansehen",
    "expires": "Der Link gilt bis {when}.",
    "not_you": "Wenn Sie das nicht angefordert haben, können Sie diese E-Mail ignorieren.",
    "invitation_title": ("Einladung ins Team von {tenant}"),
    "invitation_text": ("{who} lädt Sie in den Helpdesk von {tenant} ein (Rolle: {role})."),
    "invitation_text_plain": ("Sie sind in den Helpdesk von {tenant} eingeladen (Rolle: {role})."),
    "invitation_sign_in": "Sie melden sich mit {email} an.",
    "invitation_button": "Einladung annehmen",
    "role_admin": ("Administration"),
    "role_technician": ("Technik"),
    "explanation_title": "Zu der E-Mail, die Sie uns geschickt haben",
    "explanation_to": "Sie ging an {address}.",
    "explanation_unknown_recipient": (
        "Unter der angeschriebenen Adresse gibt es keinen Helpdesk; niemand hat Ihre E-Mail "
        "gelesen. Bitte prüfen Sie die Adresse."
    ),
    "explanation_token_invalid": (
        "Die Antwortadresse ist unvollständig oder nicht mehr gültig; Ihre E-Mail wurde keiner "
        "Anfrage zugeordnet. Bitte antworten Sie auf unsere neueste E-Mail oder schreiben Sie eine "
        "neue."
    ),
    "explanation_tenant_suspended": (
        "Dieser Helpdesk nimmt zurzeit keine E-Mails an. Ihre E-Mail wurde nicht weitergegeben."
    ),
    "explanation_team_unverified": (
        "Ihre Antwort wurde nicht an den Kunden gesendet, weil wir nicht bestätigen konnten, dass"
        " sie von Ihnen stammt. Sie liegt als interne Notiz im Portal. Melden Sie sich dort an, "
        "um sie zu veröffentlichen, oder richten Sie für Ihre E-Mail-Domain SPF, DKIM und DMARC "
        "ein."
    ),
    "explanation_not_a_member": (
        "Ihre Antwort wurde nicht an den Kunden gesendet, weil Ihre Adresse nicht zu diesem Team "
        "gehört. Sie liegt als interne Notiz vor. Antworten Sie von der Adresse, mit der Sie sich "
        "anmelden, oder fragen Sie einen Administrator."
    ),
    "explanation_general": (
        "Wir konnten Ihre E-Mail nicht wie gewünscht verarbeiten. Bitte schreiben Sie uns noch einmal."
    ),
    "explanation_once": "Sie erhalten diesen Hinweis höchstens einmal am Tag.",
    "forward_title": "E-Mail für {to}",
    "forward_attached": "Das Original ist unverändert angehängt.",
    "forward_linked": "Das Original ist zu groß zum Anhängen.",
    "forward_download": "Original herunterladen",
    "truncated": ("Der Text ist zu lang für diese E-Mail; im Portal finden Sie ihn vollständig."),
    "reply_hint": ("Antworten Sie einfach auf diese E-Mail."),
    "reset_title": ("Neues Passwort wählen"),
    "reset_text": (
        "Jemand, vermutlich Sie, hat ein neues Passwort für Ihre Anmeldung angefordert. Wählen "
        "Sie es mit diesem Link innerhalb einer Stunde. Waren Sie es nicht, brauchen Sie nichts "
        "zu tun: Ihr Passwort bleibt, wie es ist."
    ),
    "breaker_title": ("Ihr eigenes E-Mail-Konto weist unsere E-Mails ab"),
    "breaker_text": (
        "Über Ihr eigenes E-Mail-Konto konnte nicht gesendet werden ({reason}). Nichts ist "
        "verloren: Bis es wieder funktioniert, gehen E-Mails über die gemeinsame Adresse hinaus, "
        "und Antworten erreichen weiterhin die richtige Anfrage. Öffnen Sie Settings, Outbound "
        "Email (SMTP), wählen Sie Configure und dann Send Test: Dort steht, welches Feld zu "
        "korrigieren ist."
    ),
    "sent_by": "Gesendet von {tenant} mit Servelo Mail",
    "who_sees": ("Ihre Antwort auf diese E-Mail geht an {who}."),
    "files": ("Dateien"),
    "links_expire": ("Die Links zum Herunterladen gelten nur einige Tage."),
    "open_portal": ("Im Portal öffnen"),
    "update_title": ("{author} hat geantwortet"),
    "update_title_plain": ("Neue Antwort"),
    "invoice_title": ("Rechnung {number}"),
    "quote_title": ("Angebot {number}"),
    "amount": ("Betrag"),
    "due_date": ("Fällig am"),
    "valid_until": ("Gültig bis"),
    "open_invoice": ("Rechnung ansehen"),
    "open_quote": ("Angebot ansehen"),
    "open_link": ("Öffnen"),
    "message_title": ("Eine Nachricht von {tenant}"),
    "test_title": ("Test-E-Mail"),
    "test_text": ("Diese E-Mail ist angekommen: {tenant} kann mit diesen Einstellungen senden."),
    "test_requested": ("{who} hat sie angefordert."),
    "magic_link_title": ("Ihre Anfragen bei {tenant}"),
    "magic_link_text": (
        "Mit diesem Link sehen Sie Ihre Anfragen und können sie ergänzen. Er ist nur für Sie: "
        "Bitte geben Sie ihn nicht weiter."
    ),
}

_PORTUGUESE = {
    "marker": "Escreva a sua resposta acima desta linha",
    "greeting": ("Olá, {name}!"),
    "greeting_plain": ("Olá!"),
    "service": "Servelo Mail",
    "via": "via",
    "confirmation_title": ("Recebemos sua mensagem"),
    "confirmation_text": (
        "Agradecemos seu contato com {tenant}. Sua solicitação recebeu o número {tag}. "
        "Responderemos assim que possível."
    ),
    "confirmation_more": "Para acrescentar algo, basta responder a este e-mail.",
    "you_wrote": "Você escreveu",
    "subject": "Assunto",
    "from": "De",
    "notification_new": ("Nova solicitação {tag}"),
    "notification_reply": "Nova resposta em {tag}",
    "notification_held": ("Uma resposta em {tag} aguarda sua decisão"),
    "unverified": ("Não foi possível confirmar que este e-mail vem do endereço exibido."),
    "held": ("Ele fica oculto para a outra parte até que alguém da equipe o aceite no portal."),
    "who_sees": ("Sua resposta a este e-mail será enviada para {who}."),
    "truncated": ("O texto é longo demais para este e-mail; o portal mostra o texto completo."),
    "files": ("Arquivos"),
    "links_expire": ("Os links para download expiram em alguns dias."),
    "open_portal": "Abrir no portal",
    "update_title": "{author} respondeu",
    "update_title_plain": "Nova resposta",
    "reply_hint": ("Basta responder a este e-mail."),
    "invoice_title": "Fatura {number}",
    "quote_title": "Orçamento {number}",
    "amount": "Valor",
    "due_date": "Vencimento",
    "valid_until": "Válido até",
    "open_invoice": "Ver a fatura",
    "open_quote": "Ver o orçamento",
    "open_link": "Abrir",
    "message_title": "Uma mensagem de {tenant}",
    "test_title": "E-mail de teste",
    "test_text": ("Este e-mail chegou: {tenant} pode enviar e-mails com estas configurações."),
    "test_requested": ("Solicitado por {who}."),
    "magic_link_title": ("Suas solicitações em {tenant}"),
    "magic_link_text": (
        "Com este link você vê suas solicitações e pode acrescentar mensagens. Ele é pessoal: não"
        " o compartilhe."
    ),
    "magic_link_button": ("Ver minhas solicitações"),
    "expires": ("O link é válido até {when}."),
    "not_you": ("Se não foi você que pediu, ignore este e-mail."),
    "invitation_title": ("Convite para a equipe de {tenant}"),
    "invitation_text": ("{who} convida você para o help desk de {tenant} (função: {role})."),
    "invitation_text_plain": ("Você recebeu um convite para o help desk de {tenant} (função: {role})."),
    "invitation_sign_in": ("Seu login é {email}."),
    "invitation_button": "Aceitar o convite",
    "role_admin": "administrador",
    "role_technician": "técnico",
    "explanation_title": ("Sobre o e-mail que você nos enviou"),
    "explanation_to": ("Ele foi enviado para {address}."),
    "explanation_unknown_recipient": (
        "Não existe atendimento no endereço para o qual você escreveu; por isso, ninguém leu seu "
        "e-mail. Verifique o endereço."
    ),
    "explanation_token_invalid": (
        "O endereço de resposta está incompleto ou não é mais válido; por isso, seu e-mail não "
        "foi acrescentado a nenhuma solicitação. Responda ao nosso e-mail mais recente ou escreva"
        " um novo."
    ),
    "explanation_tenant_suspended": (
        "Este atendimento não aceita e-mails no momento. Seu e-mail não foi encaminhado."
    ),
    "explanation_team_unverified": (
        "Sua resposta não foi enviada ao cliente, porque não foi possível confirmar que ela vem "
        "de você. Ela ficou no portal como nota interna. Entre no portal para publicá-la ou "
        "configure SPF, DKIM e DMARC no seu domínio de e-mail."
    ),
    "explanation_not_a_member": (
        "Sua resposta não foi enviada ao cliente, porque seu endereço não pertence a esta equipe."
        " Ela ficou como nota interna. Responda a partir do endereço com que você entra no portal"
        " ou fale com um administrador."
    ),
    "explanation_general": (
        "Não foi possível processar seu e-mail como esperado. Por favor, escreva novamente."
    ),
    "explanation_once": ("Este aviso é enviado no máximo uma vez por dia."),
    "forward_title": "E-mail para {to}",
    "forward_attached": ("O original segue em anexo, sem alterações."),
    "forward_linked": ("O original é grande demais para ser anexado."),
    "forward_download": ("Baixar o original"),
    "reset_title": ("Escolha uma nova senha"),
    "reset_text": (
        "Alguém, provavelmente você, pediu uma nova senha para o seu acesso. Escolha-a com este "
        "link em até uma hora. Se não foi você, não faça nada: sua senha continua a mesma."
    ),
    "breaker_title": ("Sua própria conta de e-mail recusa nossos envios"),
    "breaker_text": (
        "Não foi possível enviar pela sua própria conta de e-mail ({reason}). Nada se perdeu: até"
        " que ela volte a funcionar, os e-mails saem pelo endereço compartilhado, e as respostas "
        "continuam chegando à solicitação certa. Abra Settings, Outbound Email (SMTP), escolha "
        "Configure e depois Send Test: ele indica o campo a corrigir."
    ),
    "sent_by": ("Enviado por {tenant} com Servelo Mail"),
}

LANGUAGES = {
    each.locale: each
    for each in (
        Language(
            "en",
            "{day} {month} {year}",
            "January February March April May June July August September October November December",
            ",",
            ".",
            _ENGLISH,
        ),
        Language(
            "es",
            "{day} de {month} de {year}",
            "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
            ".",
            ",",
            _SPANISH,
        ),
        Language(
            "fr",
            "{day} {month} {year}",
            "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
            "\u202f",
            ",",
            # No line begins with a colon or a semicolon.
            {
                name: words.replace(" :", "\u00a0:").replace(" ;", "\u202f;")
                for name, words in _FRENCH.items()
            },
            "1er",
            "\u00a0:",
        ),
        Language(
            "de",
            "{day}. {month} {year}",
            "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
            ".",
            ",",
            _GERMAN,
        ),
        Language(
            "pt",
            "{day} de {month} de {year}",
            "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
            ".",
            ",",
            _PORTUGUESE,
        ),
    )
}
