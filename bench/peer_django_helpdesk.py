"""django-helpdesk fed with mails: run by its own environment's Python, prints milliseconds as JSON.

    python peer_django_helpdesk.py FOLDER

FOLDER holds the raw mails and ``mails.json``: ``[{"file", "kind", "reply", "sender"}]``. SQLite in a file, as
its documentation begins; outgoing mail is kept in memory. A reply names its sender's last ticket in the
subject, which is how django-helpdesk knows one.
"""

import json
import logging
import re
import resource
import sys
import time
import types
from pathlib import Path

FOLDER = Path(sys.argv[1])


def configure() -> None:
    from django.conf import settings

    settings.configure(
        SECRET_KEY="bench",  # noqa: S106 - nothing is served
        INSTALLED_APPS=[
            "django.contrib.admin",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.humanize",
            "django.contrib.messages",
            "django.contrib.sessions",
            "django.contrib.sites",
            "rest_framework",
            "helpdesk",
        ],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(FOLDER / "db.sqlite3")}},
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend",
        HELPDESK_TEAMS_MODE_ENABLED=False,
        LOGGING_CONFIG=None,
        MEDIA_ROOT=str(FOLDER / "media"),
        ROOT_URLCONF="peer_urls",
        SITE_ID=1,
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
        USE_TZ=True,
    )
    import django

    django.setup()
    from django.urls import include, path

    urls = types.ModuleType("peer_urls")
    urls.urlpatterns = [path("", include("helpdesk.urls", namespace="helpdesk"))]
    sys.modules["peer_urls"] = urls


def main() -> None:
    configure()
    from django.core import mail
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    call_command("loaddata", "emailtemplate.json", verbosity=0)
    from helpdesk.email import extract_email_metadata
    from helpdesk.models import Queue

    queue = Queue.objects.create(
        title="Support",
        slug="support",
        email_address="support@acme.example",
        new_ticket_cc="admin@acme.example",
        enable_notifications_on_email_events=True,
        allow_email_submission=True,
    )
    logger = logging.getLogger("bench")
    logging.disable(logging.CRITICAL)
    mails = json.loads((FOLDER / "mails.json").read_text())
    opened: dict[str, int] = {}
    took: dict[str, list[float]] = {}
    failed = sent = 0
    mail.outbox = []
    began = time.perf_counter()
    for each in mails:
        text = (FOLDER / each["file"]).read_bytes().decode("utf-8", "replace")
        reply = each["reply"] and each["sender"] in opened
        if reply:
            tag = f"Subject: Re: [support-{opened[each['sender']]}] "
            text = re.sub(r"^Subject: ", lambda _, tag=tag: tag, text, count=1, flags=re.M)
        start = time.process_time()
        try:
            ticket = extract_email_metadata(text, queue, logger)
        except Exception as error:
            ticket = None
            failed += 1
            print(type(error).__name__, error, file=sys.stderr)
        name = f"{each['kind']} {'reply' if reply else 'new'}"
        took.setdefault(name, []).append((time.process_time() - start) * 1000)
        if ticket is not None and not reply:
            opened[each["sender"]] = ticket.id
        sent += len(mail.outbox)
        mail.outbox = []
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        json.dumps({"took": took, "seconds": seconds, "failed": failed, "sent": sent, "peak_mb": peak / 1024})
    )


main()
