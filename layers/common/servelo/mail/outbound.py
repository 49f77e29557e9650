"""Outgoing mail: an OutboundJob and its tenant become the bytes that a transport sends.

Header rules (``docs/sending.md`` gives the reasons):

    From                  display name of the job, address of the account it goes out through
    To                    the one recipient
    Reply-To              the token address, bare and on one line; operator forwards: the original sender
    Subject               ``job.subject``, made one line; the caller puts the ticket tag in
    Message-ID            ``job.message_id``: the same for every attempt
    In-Reply-To, References   oldest first, at most about 1,500 characters, first and last kept
    Auto-Submitted        automatic kinds only: ``auto-replied`` for answers to a mail, else ``auto-generated``
    X-Auto-Response-Suppress  ``All`` with it
    X-Servelo-Stamp       ``{slug}/{kind}``: our own mail coming back to us is a loop

Content: the variables of each kind. This is the contract between the services that queue a mail and the
templates. Values are strings, numbers, booleans and lists of them; a missing key reads as empty, false or
zero; unknown keys do no harm. Strings are plain text and may hold anything: they are escaped here. Links
that are not ``https:`` or ``http:`` are left out.

    confirmation      number, subject, portal_link; echo (default False), text: subject and text are shown
                      only when echo is True, which the caller sets for a verified sender alone
    notification      event ("new" (default), "reply" or "held"), number, subject, client_name, client_email,
                      text, truncated, files*, unverified, who_sees, portal_link
    ticket_update     number, author_name, text, truncated, files*, who_sees, portal_link
    invoice, quote    number (a string or a number), amount (a number, or a string shown as it is), currency,
                      due_date (``2026-12-01``; of a quote: valid until), link, text
    message           text, link, files*
    test              requested_by (a name or an address)
    magic_link        link, expires (``2026-12-01T14:05:00+00:00``)
    invitation        link, inviter_name, role ("admin" or "technician"), email, expires
    explanation       reason: one of ``EXPLANATIONS`` (an unknown one gives a general text), address (the
                      address of ours that was written to, optional). Never text of the mail itself
    operator_forward  from, to, subject, link (shown when the original is not attached)

    files*            files: names in order. file_sizes: octets in the same order, optional. file_links:
                      addresses in the same order, ``""`` for a file that is attached to the mail itself.
                      Without ``files``, the names of ``job.files`` are shown.
    who_sees          who gets an answer to this mail, as shown: ``Ada Lovelace <ada@example.org>``.
"""
