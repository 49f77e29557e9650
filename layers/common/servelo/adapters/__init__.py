"""How the services reach AWS and SMTP."""
