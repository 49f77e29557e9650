"""The local stack: the whole system on this machine, from the same template that is deployed to AWS.

    settings       ports and folders, from the environment
    build          sam build and sam deploy, as an operator does them
    aws            ministack, the local AWS, and clients for it
    template       what the built template says: routes, authorizer, receipt rule
    ses_inbound    plays the SES that takes mail: SMTP in, object and receipt notification out
    ses_outbound   plays the SES that sends mail: API in, mailbox and delivery events out
    submission     plays a tenant's own SMTP server
    http_front     plays the HTTP API: routes, JWT authorizer, payload 2.0
    mailbox        every mail that went out, as files and as pages
    seed           two tenants and an operator, made by the services
    stack          starts and stops all of it
    emulator       one built function under Lambda's own runtime client and emulator
    demo           a whole conversation over SMTP, step by step

Not shipped: nothing of it is in a function or a layer. docs/local.md says what is
real here and what is played.
"""
