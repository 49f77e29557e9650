"""Notices in plain words: each server family writes them its own way, and the failed address is found in all.

The texts are our own, in the layout that the programs use; addresses and hosts are examples.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from servelo.mail.bounce import read_bounce_bytes


class Case(NamedTuple):
    name: str
    sender: str
    subject: str
    text: str
    recipients: tuple[str, ...]
    permanent: bool
    reason: str = ""


DAEMON = "Mail Delivery Subsystem <MAILER-DAEMON@mx.example.org>"

CASES = [
    Case(
        "qmail",
        "MAILER-DAEMON@mx.example.org",
        "failure notice",
        """Hi. This is the qmail-send program at mx.example.org.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<kim@example.net>:
192.0.2.7 does not like recipient.
Remote host said: 550 5.1.1 no such mailbox
Giving up on 192.0.2.7.

<lee@example.net>:
Sorry, no mailbox here by that name. (#5.1.1)

--- Below this line is a copy of the message.

Return-Path: <desk@acme.example>
Message-ID: <t1@acme.example>
Reply-To: reply+TOKEN@desk.example
To: other@example.com
""",
        ("kim@example.net", "lee@example.net"),
        True,
        "user-unknown",
    ),
    Case(
        "Exim",
        "Mail Delivery System <Mailer-Daemon@host.example.org>",
        "Mail delivery failed: returning message to sender",
        """This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  kim@example.net
    host mx.example.net [192.0.2.7]
    SMTP error from remote mail server after RCPT TO:<kim@example.net>:
    552 5.2.2 mailbox is over its quota
  info@example.net
    (generated from all@example.net)
    Unrouteable address

------ This is a copy of the message, including all the headers. ------

Return-path: <desk@acme.example>
""",
        ("kim@example.net", "info@example.net"),
        True,
    ),
    Case(
        "Exim, still trying",
        "Mail Delivery System <Mailer-Daemon@host.example.org>",
        "Warning: message 1abc-00-XY delayed 24 hours",
        """This message was created automatically by mail delivery software.
A message that you sent has not yet been delivered to one or more of its
recipients after more than 24 hours on the queue on host.example.org.

The message identifier is:     1abc-00-XY
The subject of the message is: Your invoice
The date of the message is:    Mon, 5 May 2025 09:00:00 +0000

The address to which the message has not yet been delivered is:

  kim@example.net
    host mx.example.net [192.0.2.7]
    Delay reason: Connection timed out

No action is required on your part. Delivery attempts will continue for
some time, and this warning may be repeated at intervals.
""",
        ("kim@example.net",),
        False,
    ),
    Case(
        "Postfix",
        "MAILER-DAEMON@mail.example.org (Mail Delivery System)",
        "Undelivered Mail Returned to Sender",
        """This is the mail system at host mail.example.org.

I'm sorry to have to inform you that your message could not
be delivered to one or more recipients. It's attached below.

For further assistance, please send mail to postmaster.

                   The mail system

<kim@example.net>: host mx.example.net[192.0.2.7] said: 550-5.7.1 Message
    rejected as spam (in reply to end of DATA command)
""",
        ("kim@example.net",),
        True,
        "spam",
    ),
    Case(
        "Postfix transcript for the postmaster",
        "MAILER-DAEMON@mail.example.org (Mail Delivery System)",
        "Postfix SMTP server: errors from unknown[192.0.2.9]",
        """Transcript of session follows.

 Out: 220 mail.example.org ESMTP Postfix
 In:  EHLO client.example.com
 Out: 250-mail.example.org
 In:  MAIL FROM:<desk@acme.example>
 Out: 250 2.1.0 Ok
 In:  RCPT TO:<kim@example.org>
 Out: 450 4.2.0 <kim@example.org>: Recipient address rejected: Greylisted
 In:  QUIT
 Out: 221 2.0.0 Bye
""",
        ("kim@example.org",),
        False,
    ),
    Case(
        "sendmail",
        DAEMON,
        "Returned mail: see transcript for details",
        """The original message was received at Mon, 5 May 2025 09:00:00 GMT
from localhost [127.0.0.1]

   ----- The following addresses had permanent fatal errors -----
<kim@example.net>
    (reason: 550 5.1.1 <kim@example.net>... User unknown)
    (expanded from: <k@example.org>)

   ----- Transcript of session follows -----
... while talking to mx.example.net.:
>>> DATA
<<< 550 5.1.1 <kim@example.net>... User unknown
550 5.1.1 <kim@example.net>... User unknown
""",
        ("kim@example.net",),
        True,
        "user-unknown",
    ),
    Case(
        "old sendmail",
        DAEMON,
        "Returned mail: Host unknown",
        """   ----- Transcript of session follows -----
While talking to mx.example.net:
>>> RCPT To:<kim@example.net>
<<< 550 <kim@example.net>, no such account
550 <kim@example.net>... User unknown

   ----- Unsent message follows -----
Received: by mx.example.org
From: desk@acme.example
""",
        ("kim@example.net",),
        True,
        "user-unknown",
    ),
    Case(
        "Courier",
        '"Courier mail server at mx.example.org" <@mx.example.org>',
        "NOTICE: mail delivery status.",
        """This is a delivery status notification from mx.example.org,
running the Courier mail server, version 0.65.2.

The original message was received on Mon, 05 May 2025 09:00:00 +0000
from localhost (localhost [127.0.0.1])

---------------------------------------------------------------------------

                           UNDELIVERABLE MAIL

Your message to the following recipients cannot be delivered:

<kim@example.net>:
    mx.example.net [192.0.2.7]:
>>> RCPT TO:<kim@example.net>
<<< 550 5.1.1 <kim@example.net>... User Unknown

---------------------------------------------------------------------------
""",
        ("kim@example.net",),
        True,
        "user-unknown",
    ),
    Case(
        "Exchange 2007, German",
        "Microsoft Exchange <postmaster@example.org>",
        "Unzustellbar: Ihre Anfrage",
        """Fehler bei der Nachrichtenzustellung an folgende Empfänger oder Verteilerlisten:

kim@example.net
Die von Ihnen eingegebene E-Mail-Adresse wurde nicht gefunden.

Diagnoseinformationen für Administratoren:

Generierender Server: mta.example.org

kim@example.net
#550 5.1.1 RESOLVER.ADR.RecipNotFound; not found ##

Ursprüngliche Nachrichtenkopfzeilen:

Received: from desk.example
""",
        ("kim@example.net",),
        True,
        "user-unknown",
    ),
    Case(
        "Exchange 2007, French",
        "Microsoft Exchange <postmaster@example.org>",
        "Non remis : Votre demande",
        """Échec de la remise pour ces destinataires ou listes de distribution :

kim@example.net
La boîte aux lettres du destinataire est pleine.

Informations de diagnostic pour les administrateurs :

Serveur de génération : mta.example.org

kim@example.net
#550 5.2.2 STOREDRV.Deliver; mailbox full ##

En-têtes de message d'origine :

Received: from desk.example
""",
        ("kim@example.net",),
        True,
        "mailbox-full",
    ),
    Case(
        "Exchange 2003",
        "System Administrator <postmaster@example.org>",
        "Undeliverable: Your request",
        """Your message

  To:      desk@acme.example
  Subject: Your request
  Sent:    Mon, 5 May 2025 09:00:00 +0000

did not reach the following recipient(s):

kim@example.net on Mon, 5 May 2025 09:00:05 +0000
    The recipient name is not recognized
\tThe MTS-ID of the original message is: c=us;a= ;p=example;l=MAIL-250505090005Z-1
""",
        ("kim@example.net",),
        True,
        "user-unknown",
    ),
    Case(
        "Domino",
        "Postmaster@example.org",
        "DELIVERY FAILURE: User kim (kim@example.net) not listed in Domino Directory",
        """Your message

  Subject: Your request

was not delivered to:

  kim@example.net

because:

  User kim (kim@example.net) not listed in Domino Directory
""",
        ("kim@example.net",),
        True,
        "user-unknown",
    ),
    Case(
        "GMX",
        "MAILER-DAEMON@gmx.example (Mail Delivery System)",
        "Mail delivery failed: returning message to sender",
        """This message was created automatically by mail delivery software.
A message that you sent could not be delivered to one or more of
its recipients. This is a permanent error. The following address
failed:

"kim@example.net":
SMTP error from remote server after RCPT command:
host: mx.example.net
5.1.1 <kim@example.net>... User Unknown

--- The header of the original message is following. ---

Received: from [192.0.2.1]
""",
        ("kim@example.net",),
        True,
        "user-unknown",
    ),
    Case(
        "Gmail before reports",
        "Mail Delivery Subsystem <mailer-daemon@googlemail.com>",
        "Delivery Status Notification (Failure)",
        """Delivery to the following recipient failed permanently:

     kim@example.net

Technical details of permanent failure:
Google tried to deliver your message, but it was rejected by the recipient domain.
The error that the other server returned was: 550 550 5.1.1 Unknown user (state 14).

----- Original message -----

Received: by 192.0.2.1
""",
        ("kim@example.net",),
        True,
        "user-unknown",
    ),
    Case(
        "Yahoo",
        "MAILER-DAEMON@yahoo.com",
        "Failure Notice",
        """Sorry, we were unable to deliver your message to the following address.

<kim@example.net>:
Remote host said:
451 4.7.1 Please try again later
[RCPT_TO]

--- Below this line is a copy of the message.

Received: from [192.0.2.1]
""",
        ("kim@example.net",),
        False,
        "delayed",
    ),
    Case(
        "IronPort",
        '"Mail Delivery System" <MAILER-DAEMON@esa.example.org>',
        "Delivery Status Notification (Failure)",
        """The following message to <kim@example.net> was undeliverable.
The reason for the problem:
5.1.0 - Unknown address error 550-'5.1.1 no such recipient'
""",
        ("kim@example.net",),
        True,
        "user-unknown",
    ),
    Case(
        "MessageLabs",
        "MAILER-DAEMON@messagelabs.example",
        "Mail Delivery Failure",
        """This is the mail delivery agent at messagelabs.example.
I was unable to deliver your message to the following addresses:

kim@example.net

Reason: 550 kim@example.net... No such user

The message subject was: Your request
The message date was: Mon, 05 May 2025 09:00:00 +0000
""",
        ("kim@example.net",),
        True,
        "user-unknown",
    ),
    Case(
        "sendmail of old providers",
        DAEMON,
        "Returned mail: User unknown",
        """   ----- The following addresses had delivery problems -----
kim@example.net

   ----- Non-delivered information -----
The number of messages in recipient's mailbox exceeded the local limit.

   ----- Original message follows -----
Received: from desk.example
""",
        ("kim@example.net",),
        True,
        "mailbox-full",
    ),
    Case(
        "mobile carrier dialogue",
        "Postmaster@ezweb.example",
        "Mail System Error - Returned Mail",
        """The user(s) account is disabled.

<kim@example.net>: 550 user unknown

Each of the following recipients was rejected by a remote mail server.

    Recipient: <kim@example.net>
    >>> RCPT TO:<kim@example.net>
    <<< 550 <kim@example.net>: User unknown
""",
        ("kim@example.net",),
        True,
    ),
    Case(
        "InterScan",
        '"InterScan MSS" <postmaster@example.org>',
        "Mail could not be delivered",
        """****** Message from InterScan Messaging Security Suite ******

Sent <<< RCPT TO:<kim@example.net>
Received >>> 550 5.1.1 <kim@example.net>... user unknown

Unable to deliver message to <kim@example.net>

************************     End of message     **********************
""",
        ("kim@example.net",),
        True,
        "user-unknown",
    ),
    Case(
        "MailMarshal",
        "postmaster@example.org",
        'Undeliverable Mail: "Your request"',
        """Your message:
   From:    desk@acme.example
   Subject: Your request

Could not be delivered because of

550 5.1.1 User unknown

The following recipients were affected:
    kim@example.net

Additional Information
======================
Original Sender:    <desk@acme.example>
""",
        ("kim@example.net",),
        True,
        "user-unknown",
    ),
    Case(
        "SurfControl",
        "Mail Administrator <postmaster@example.org>",
        "Message could not be delivered",
        """Your message could not be sent.
A transcript of the attempts to send the message follows.
The number of attempts made: 1
Addressed To: kim@example.net

Mon 05 May 2025 09:00:00 +0000
Failed to send to identified host,
kim@example.net: [192.0.2.7], 550 kim@example.net... No such user

--- Message non-deliverable.
""",
        ("kim@example.net",),
        True,
        "user-unknown",
    ),
    Case(
        "Sun messaging",
        "Internet Mail Delivery <postmaster@example.org>",
        "Delivery Notification: Delivery has failed",
        """This report relates to a message you sent with the following header fields:

  Message-id: <t1@acme.example>
  From: desk@acme.example
  To: team@example.com

Your message cannot be delivered to the following recipients:

  Recipient address: kim@example.net
  Reason: Remote SMTP server has rejected address
  Diagnostic code: smtp;550 5.1.1 unknown user
  Remote system: dns;mx.example.net (TCP|192.0.2.1|42|192.0.2.7|25)
""",
        ("kim@example.net",),
        True,
        "user-unknown",
    ),
    Case(
        "error list",
        "Postmaster <postmaster@example.org>",
        "Mail Delivery Problem",
        """We had trouble delivering your message. Full details follow:

Subject: 'Your request'
Date: 'Mon, 05 May 2025 09:00:00 +0000'

1 error(s):

SMTP Server <mx.example.net> rejected recipient <kim@example.net> (Error following RCPT
command). It responded as follows: [550 5.1.1 User unknown]
""",
        ("kim@example.net",),
        True,
        "user-unknown",
    ),
    Case(
        "phone gateway",
        "post_master@vtext.example",
        "Undeliverable Message",
        """Error: No valid recipients from mx.example.org

Your message to kim@example.net could not be delivered.
The user does not exist.
""",
        ("kim@example.net",),
        True,
        "user-unknown",
    ),
    Case(
        "AOL",
        DAEMON,
        "Returned mail: User unknown",
        """The original message was received at Mon, 5 May 2025 09:00:00 -0500 (EST)
from desk.example [192.0.2.1]

   ----- The following addresses had permanent fatal errors -----
<kim@example.net>

   ----- Transcript of session follows -----
... while talking to air-yc03.mail.example.:
>>> RCPT To:<kim@example.net>
<<< 550 MAILBOX NOT FOUND
550 <kim@example.net>... User unknown
""",
        ("kim@example.net",),
        True,
        "user-unknown",
    ),
    Case(
        "MailEnable",
        '"Delivery Subsystem" <POSTMASTER@example.org>',
        "Message Delivery Failure",
        """MailEnable: Message could not be delivered to some recipients.
The following recipient(s) could not be reached:

\tRecipient: [SMTP:kim@example.net]
\tReason: Remote SMTP Server Returned: 550 mailbox unavailable or not local.

Message headers follow:

Received: from desk.example
""",
        ("kim@example.net",),
        True,
        "user-unknown",
    ),
    Case(
        "hMailServer",
        "mailer-daemon@example.org",
        "Message undeliverable: Your request",
        """Your message did not reach some or all of the intended recipients.

   Sent: Mon, 5 May 2025 09:00:00 +0000
   Subject: Your request

The following recipient(s) could not be reached:

kim@example.net
   Error Type: SMTP
   Remote server (192.0.2.7) issued an error.
   hMailServer sent: RCPT TO:<kim@example.net>
   Remote server replied: 550 5.1.1 unknown user

hMailServer
""",
        ("kim@example.net",),
        True,
        "user-unknown",
    ),
    Case(
        "CommuniGate",
        "<MAILER-DAEMON@example.org>",
        "Undeliverable mail: Your request",
        """Failed to deliver to 'kim@example.net'
SMTP module(domain example.net) reports:
 message text rejected by mx.example.net:
 554 5.7.1 Message contains spam
""",
        ("kim@example.net",),
        True,
        "spam",
    ),
    Case(
        "MDaemon",
        "MDaemon@example.org",
        "Permanent Delivery Failure",
        """The attached message had PERMANENT fatal delivery errors!

After one or more unsuccessful delivery attempts the attached message has
been removed from the mail queue on this server.

Failed address: kim@example.net

--- Session Transcript ---
 Mon 2025-05-05 09:00:00: <-- 550 5.1.1 User unknown
--- End Transcript ---
""",
        ("kim@example.net",),
        True,
        "user-unknown",
    ),
    Case(
        "Chinese provider",
        "PostMaster@qq.example",
        "系统退信/Systems bounce",
        """抱歉，您的邮件被退回来了……
原邮件信息：
时　间 2025-05-05 09:00:00
主　题 Your request
收件人 kim@example.net

退信原因：
收件人邮件地址（kim@example.net）不存在，邮件无法送达。
host mx.example.net said: 550 Mailbox not found
""",
        ("kim@example.net",),
        True,
        "user-unknown",
    ),
    Case(
        "Japanese filter",
        "<>",
        "failure notice",
        """このメールは自動的に生成して送信しています。
下記の理由によりこのメールは送信できませんでした。

以下のメールアドレスへの送信に失敗しました。
kim@example.net

-------server message
550 5.1.1 unknown user <kim@example.net>

-------original mail info
From: desk@acme.example
""",
        ("kim@example.net",),
        True,
        "user-unknown",
    ),
    Case(
        "Russian provider",
        "mailer-daemon@mail.example",
        "Ваше сообщение не доставлено",
        """Это письмо создано автоматически сервером, отвечать на него не нужно.

К сожалению, Ваше письмо не может быть доставлено одному или нескольким получателям:

  kim@example.net
    SMTP error from remote mail server after RCPT TO:<kim@example.net>:
    550 Message was not accepted -- invalid mailbox.  Local mailbox
    kim@example.net is unavailable: user not found
""",
        ("kim@example.net",),
        True,
        "user-unknown",
    ),
    Case(
        "GroupWise",
        "Mailer-Daemon@example.org",
        "Message status - undeliverable",
        """The message that you sent was undeliverable to the following:
\tkim@example.net (user not found)

Possibly truncated original message follows:

Received: from desk.example
""",
        ("kim@example.net",),
        True,
        "user-unknown",
    ),
    Case(
        "arrows before the address",
        DAEMON,
        "FAILURE NOTICE :",
        """  ----- The following addresses had permanent fatal errors -----

>>> kim@example.net <kim@example.net>

  ----- Transcript of session follows -----
550 sorry, no mailbox here by that name (#5.1.1)

  ----- Original message follows -----
Received: from desk.example
""",
        ("kim@example.net",),
        True,
        "user-unknown",
    ),
    Case(
        "mailing list that takes members only",
        "cats-admin@lists.example.net",
        "NOT MEMBER article from desk@acme.example (cats ML)",
        """Hi, I am the fml ML manager for the ML <cats@lists.example.net>.

An article from <desk@acme.example> was refused: the sender is not a member.

Original mail as follows:
""",
        ("cats@lists.example.net",),
        True,
        "policy",
    ),
    Case(
        "picture message",
        "<sysadmin@vzwpix.example>",
        "Undeliverable Message",
        """Message could not be delivered to mobile.
Error: No valid recipients for this MM

To: 5551234567@vzwpix.example
Subject: Your request
""",
        ("5551234567@vzwpix.example",),
        True,
        "user-unknown",
    ),
    Case(
        "Chinese, HTML-less report of a big provider",
        "<postmaster@163.example>",
        "退信：Your request",
        """您的邮件无法投递到以下地址
kim@example.net
550 User not found: kim@example.net
""",
        ("kim@example.net",),
        True,
        "user-unknown",
    ),
    Case(
        "Kerio",
        "postmaster@example.org",
        "Delivery Notification: Delivery has failed",
        """Your message

   From:    desk@acme.example
   Subject: Your request

has not been delivered to the following recipient:

   <kim@example.net> ... mailbox does not exist
""",
        ("kim@example.net",),
        True,
        "user-unknown",
    ),
    Case(
        "Mimecast",
        "postmaster@mimecast.example",
        "[Postmaster] Email Delivery Failure",
        """This is a delivery failure notification message indicating that an email you
addressed to email address :
-- kim@example.net

could not be delivered. The problem appears to be :
-- Recipient email address is possibly incorrect

Additional information follows :
-- 5.1.1 User Unknown

This condition occurred after 1 attempt(s) to deliver over a period of 0 hour(s).
""",
        ("kim@example.net",),
        True,
        "user-unknown",
    ),
    Case(
        "Orange, French",
        "MAILER-DAEMON@smtp.example.fr",
        "Undelivered Mail Returned to Sender",
        """Votre message n'a pas pu être remis au destinataire suivant :

<kim@example.net>: adresse inconnue
""",
        ("kim@example.net",),
        True,
        "user-unknown",
    ),
    Case(
        "report in plain text",
        "MAILER-DAEMON@us-west-2.amazonses.example",
        "Delivery Status Notification (Failure)",
        """An error occurred while trying to deliver the mail to the following recipients:
kim@example.net

Technical report:

Reporting-MTA: dsn; a1-2.example

Action: failed
Final-Recipient: rfc822; kim@example.net
Diagnostic-Code: smtp; 554 4.4.7 Message expired: unable to deliver in 840 minutes
Status: 4.4.7
""",
        ("kim@example.net",),
        False,
        "expired",
    ),
    Case(
        "QQ, from an address of no daemon",
        '"QQ" <10000@qq.example>',
        "系统退信/Message Delivery Failure",
        "抱歉，您的邮件被退回来了……\n\n收件人\nkim@example.net\n\n退信原因：\n收件人邮件地址（kim@example.net）不存在，"
        "邮件无法送达。\nhost mx.example.net[192.0.2.7] said: 550 Mailbox not found.\n",
        ("kim@example.net",),
        True,
        "user-unknown",
    ),
    Case(
        "Gmail in German",
        DAEMON,
        "Mail delivery notice",
        """** Die Adresse wurde nicht gefunden **

Ihre Nachricht wurde nicht an kim@example.net zugestellt, weil die Adresse nicht gefunden wurde oder keine
E-Mails empfangen kann.

Antwort:

550 5.1.1 The email account that you tried to reach does not exist.
""",
        ("kim@example.net",),
        True,
    ),
    Case(
        "Gmail in Spanish",
        DAEMON,
        "Mail delivery notice",
        """** No se ha encontrado la dirección **

Tu mensaje no se ha entregado a kim@example.net porque no se ha encontrado la dirección o esta no puede
recibir correo.
""",
        ("kim@example.net",),
        True,
    ),
    Case(
        "Coremail in two languages",
        DAEMON,
        "Mail delivery notice",
        """抱歉，您的邮件被退回来了……/
Sorry, your mail is returned...
原邮件信息/
Original e-mail message :
时间/Time : 2024-03-05 16:12:33
主题/Subject : Printer
收件人/To : kim@example.net
退信原因/
Bounce reason : 550 No such user
""",
        ("kim@example.net",),
        True,
    ),
]


def mail(case: Case) -> bytes:
    head = f"From: {case.sender}\nTo: desk@acme.example\nSubject: {case.subject}\nMIME-Version: 1.0\n"
    head += "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
    return (head + case.text).replace("\n", "\r\n").encode()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_failed_address_is_found_with_what_the_failure_means(case: Case) -> None:
    bounce = read_bounce_bytes(mail(case))
    assert case.recipients == tuple(one.recipient for one in bounce.recipients)
    assert {case.permanent} == {one.permanent for one in bounce.recipients}
    if case.reason:
        assert case.reason in {one.reason for one in bounce.recipients}


def test_message_id_and_reply_token_of_the_returned_text_are_found() -> None:
    bounce = read_bounce_bytes(mail(CASES[0]))
    assert ("t1@acme.example",) == bounce.original_message_ids
    assert ("reply+TOKEN@desk.example",) == bounce.original_reply_tos


def test_address_that_was_expanded_is_told_with_the_one_it_came_from() -> None:
    sendmail = next(case for case in CASES if case.name == "sendmail")
    assert "k@example.org" == read_bounce_bytes(mail(sendmail)).recipients[0].original_recipient
