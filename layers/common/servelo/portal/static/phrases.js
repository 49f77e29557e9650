// The customers' portal in the five languages that a tenant can choose (Settings, Language of mails).

const LANGUAGES = ["en", "es", "fr", "de", "pt"];
const PHRASES = {
  lang: ["en", "es", "fr", "de", "pt"],
  yourTickets: ["Your tickets", "Sus tickets", "Vos tickets", "Ihre Tickets", "Os seus tickets"],
  doorWords: ["No password needed: we mail you a link that opens your tickets for 7 days.", "Sin contraseña: le enviamos un enlace que abre sus tickets durante 7 días.", "Sans mot de passe : nous vous envoyons un lien qui ouvre vos tickets pendant 7 jours.", "Ohne Passwort: Wir schicken Ihnen einen Link, der Ihre Tickets 7 Tage lang öffnet.", "Sem palavra-passe: enviamos-lhe uma ligação que abre os seus tickets durante 7 dias."],
  email: ["E-mail address", "Correo electrónico", "Adresse e-mail", "E-Mail-Adresse", "Endereço de e-mail"],
  emailHint: ["The one that you wrote to us from.", "La dirección desde la que nos escribió.", "Celle avec laquelle vous nous avez écrit.", "Die, von der Sie uns geschrieben haben.", "Aquele a partir do qual nos escreveu."],
  sendLink: ["Send me a link", "Enviarme un enlace", "Envoyez-moi un lien", "Link schicken", "Enviar-me uma ligação"],
  linkSent: ["The link is on its way.", "El enlace está en camino.", "Le lien est en route.", "Der Link ist unterwegs.", "A ligação está a caminho."],
  lookTitle: ["Look into your inbox", "Mire su bandeja de entrada", "Consultez votre boîte de réception", "Schauen Sie in Ihr Postfach", "Veja a sua caixa de entrada"],
  look: ["If {email} has written to us, a link is on its way there.", "Si {email} nos ha escrito, un enlace está en camino.", "Si {email} nous a écrit, un lien est en route.", "Wenn {email} uns geschrieben hat, ist ein Link dorthin unterwegs.", "Se {email} nos escreveu, uma ligação está a caminho."],
  lookMore: ["Nothing there after some minutes? Look into the spam folder, or simply answer one of our mails.", "¿Nada tras unos minutos? Mire en la carpeta de spam o responda a uno de nuestros correos.", "Rien après quelques minutes ? Regardez dans les indésirables ou répondez à l’un de nos e-mails.", "Nach einigen Minuten nichts da? Sehen Sie im Spam-Ordner nach oder antworten Sie auf eine unserer Mails.", "Nada após alguns minutos? Veja a pasta de spam ou responda a um dos nossos e-mails."],
  otherAddress: ["Use another address", "Usar otra dirección", "Utiliser une autre adresse", "Andere Adresse verwenden", "Usar outro endereço"],
  badLink: ["This link has expired or was not complete. Ask for a new one.", "Este enlace ha caducado o estaba incompleto. Pida uno nuevo.", "Ce lien a expiré ou était incomplet. Demandez-en un nouveau.", "Dieser Link ist abgelaufen oder war unvollständig. Fordern Sie einen neuen an.", "Esta ligação expirou ou estava incompleta. Peça uma nova."],
  expiredTitle: ["Your link has expired", "Su enlace ha caducado", "Votre lien a expiré", "Ihr Link ist abgelaufen", "A sua ligação expirou"],
  expired: ["What you wrote is kept on this device. Open a new link here and send it.", "Lo que escribió se guarda en este dispositivo. Abra aquí un enlace nuevo y envíelo.", "Votre texte est gardé sur cet appareil. Ouvrez-y un nouveau lien et envoyez-le.", "Ihr Text bleibt auf diesem Gerät. Öffnen Sie hier einen neuen Link und senden Sie ihn.", "O que escreveu fica neste dispositivo. Abra aqui uma nova ligação e envie."],
  signOut: ["Sign out", "Salir", "Se déconnecter", "Abmelden", "Sair"],
  loading: ["Loading…", "Cargando…", "Chargement…", "Wird geladen…", "A carregar…"],
  newTicket: ["New ticket", "Nuevo ticket", "Nouveau ticket", "Neues Ticket", "Novo ticket"],
  noTickets: ["No tickets yet", "Aún no hay tickets", "Pas encore de tickets", "Noch keine Tickets", "Ainda não há tickets"],
  noTicketsWords: ["What you write to us appears here.", "Aquí aparece lo que nos escribe.", "Ce que vous nous écrivez apparaît ici.", "Hier erscheint, was Sie uns schreiben.", "O que nos escrever aparece aqui."],
  noSubject: ["(no subject)", "(sin asunto)", "(sans objet)", "(ohne Betreff)", "(sem assunto)"],
  more: ["Show more", "Ver más", "Afficher plus", "Mehr anzeigen", "Mostrar mais"],
  open: ["Open", "Abierto", "Ouvert", "Offen", "Aberto"],
  pending: ["Waiting for you", "Esperando su respuesta", "En attente de vous", "Wartet auf Sie", "À sua espera"],
  closed: ["Closed", "Cerrado", "Fermé", "Geschlossen", "Fechado"],
  notFound: ["Not found", "No encontrado", "Introuvable", "Nicht gefunden", "Não encontrado"],
  notFoundWords: ["This ticket does not exist, or it belongs to another address.", "Este ticket no existe o pertenece a otra dirección.", "Ce ticket n’existe pas ou appartient à une autre adresse.", "Dieses Ticket gibt es nicht, oder es gehört zu einer anderen Adresse.", "Este ticket não existe ou pertence a outro endereço."],
  subject: ["Subject", "Asunto", "Objet", "Betreff", "Assunto"],
  what: ["What is it about?", "¿De qué se trata?", "De quoi s’agit-il ?", "Worum geht es?", "De que se trata?"],
  send: ["Send", "Enviar", "Envoyer", "Senden", "Enviar"],
  sent: ["Sent.", "Enviado.", "Envoyé.", "Gesendet.", "Enviado."],
  back: ["Back", "Atrás", "Retour", "Zurück", "Voltar"],
  you: ["You", "Usted", "Vous", "Sie", "Você"],
  waiting: ["Being checked", "En revisión", "En vérification", "Wird geprüft", "Em verificação"],
  yourAnswer: ["Your answer", "Su respuesta", "Votre réponse", "Ihre Antwort", "A sua resposta"],
  writeFirst: ["Write something first.", "Escriba algo primero.", "Écrivez d’abord quelque chose.", "Schreiben Sie zuerst etwas.", "Escreva algo primeiro."],
  fileOnWay: ["A file is still on its way. Wait a moment.", "Un archivo aún se está enviando. Espere un momento.", "Un fichier est encore en cours d’envoi. Patientez un instant.", "Eine Datei ist noch unterwegs. Einen Moment bitte.", "Um ficheiro ainda está a ser enviado. Aguarde um momento."],
  close: ["Solved, close it", "Resuelto, cerrar", "Résolu, fermer", "Gelöst, schließen", "Resolvido, fechar"],
  closeTitle: ["Close this ticket?", "¿Cerrar este ticket?", "Fermer ce ticket ?", "Dieses Ticket schließen?", "Fechar este ticket?"],
  closeWords: ["You can open it again at any time by answering.", "Puede volver a abrirlo en cualquier momento respondiendo.", "Vous pouvez le rouvrir à tout moment en répondant.", "Mit einer Antwort öffnen Sie es jederzeit wieder.", "Pode reabri-lo a qualquer momento respondendo."],
  closeMessage: ["This is solved, thank you.", "Está resuelto, gracias.", "C’est résolu, merci.", "Das ist gelöst, danke.", "Está resolvido, obrigado."],
  cancel: ["Cancel", "Cancelar", "Annuler", "Abbrechen", "Cancelar"],
  attach: ["Attach files", "Adjuntar archivos", "Joindre des fichiers", "Dateien anhängen", "Anexar ficheiros"],
  whoSees: ["Your answer is seen by {tenant} and by those who take part in this ticket.", "Su respuesta la ven {tenant} y quienes participan en este ticket.", "Votre réponse est vue par {tenant} et par les participants de ce ticket.", "Ihre Antwort sehen {tenant} und alle, die an diesem Ticket beteiligt sind.", "A sua resposta é vista por {tenant} e por quem participa neste ticket."],
};

/** All phrases in one language; English for a language that is not there. */
export function phrases(locale) {
  const at = Math.max(0, LANGUAGES.indexOf(locale));
  return Object.fromEntries(Object.entries(PHRASES).map(([name, words]) => [name, words[at]]));
}
