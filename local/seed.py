"""Two tenants and an operator, made by the services that make them in earnest.

Run as ``python -m local.seed`` with the environment of the api function.
"""

from __future__ import annotations

from dataclasses import dataclass

from local.settings import PASSWORD


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a sign-in. ``slug`` is empty for the operator."""

    slug: str
    email: str
    name: str
    role: str


TENANTS = {"acme": "Acme Plumbing", "globex": "Globex Heating"}
PEOPLE = (
    Person("acme", "admin@acme.example", "Ada Admin", "admin"),
    Person("acme", "tech@acme.example", "Tom Technician", "technician"),
    Person("globex", "admin@globex.example", "Gloria Admin", "admin"),
    Person("globex", "tech@globex.example", "Gil Technician", "technician"),
    Person("", "operator@serveloapp.example", "Olga Operator", "operator"),
)


def seed() -> None:
    """Create tenants and people."""
    from servelo import bootstrap

    tenants = bootstrap.tenants()
    for slug, name in TENANTS.items():
        admin = next(each for each in PEOPLE if each.slug == slug and each.role == "admin")
        # With a password, so that no invitation lies in the mailbox before anything happened.
        tenants.create_tenant(
            slug=slug, name=name, admin_email=admin.email, admin_name=admin.name, password=PASSWORD
        )
    for person in PEOPLE:
        tenants.add_member(person.slug, person.email, person.name, person.role, password=PASSWORD)


if __name__ == "__main__":
    seed()
