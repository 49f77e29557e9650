"""What e-mail is: raw bytes in, dataclasses out, and mails built from templates. No AWS, no network."""
