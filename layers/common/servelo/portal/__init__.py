"""The HTTP face of the services: one router per resource, errors mapped in one table."""
