"""Servelo Mail: e-mail in, tickets out, answers from anyone's own inbox.

errors, config, observability   the error tree, settings from the environment, logs and metrics
records, patterns               dataclasses and regular expressions that cost an import nothing
bootstrap                       the one place where real adapters are chosen
domain/                         what a help desk is: tenants, clients, tickets, comments (stdlib only)
mail/                           what e-mail is: bytes in, dataclasses out; mails out of templates
services/                       what happens: route an inbound mail, answer a ticket, deliver a mail
adapters/                       how it reaches DynamoDB, S3, SQS, SES, SMTP
portal/                         the HTTP face of the services
"""

__version__ = "0.1.0"
