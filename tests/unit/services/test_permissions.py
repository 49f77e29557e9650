"""Every cell of the table of rights, written out a second time."""

import pytest

from servelo.errors import Forbidden
from servelo.services.permissions import TABLE, Action, Person, allowed_to, allows, check

# action: admin, technician, operator, customer
EXPECTED = {
    "tickets.read": "yyn n",
    "tickets.write": "yyn n",
    "clients.read": "yyn n",
    "clients.write": "yyn n",
    "emails.read": "yyy n",
    "emails.write": "yyn n",
    "inbound.read": "yyy n",
    "inbound.replay": "yny n",
    "suppressions.read": "yyy n",
    "suppressions.write": "yny n",
    "settings.read": "yyn n",
    "settings.write": "ynn n",
    "smtp.read": "ynn n",
    "smtp.write": "ynn n",
    "members.read": "yyn n",
    "members.write": "ynn n",
    "tenants.read": "nny n",
    "tenants.write": "nny n",
    "queues.read": "nny n",
    "queues.write": "nny n",
    "operation.read": "nny n",
    "operation.write": "nny n",
    "own_tickets": "nnn y",
}
PEOPLE = (Person.ADMIN, Person.TECHNICIAN, Person.OPERATOR, Person.CUSTOMER)


def test_the_table_has_every_action_and_no_other() -> None:
    assert set(EXPECTED) == {a.value for a in Action} == {a.value for a in TABLE}


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("person", PEOPLE)
def test_each_cell(action: Action, person: Person) -> None:
    expected = EXPECTED[action.value].replace(" ", "")[PEOPLE.index(person)] == "y"
    assert expected is allows(person, action)
    if expected:
        check(person, action)
    else:
        with pytest.raises(Forbidden):
            check(person, action)


def test_what_a_person_may_do_is_listed_in_order() -> None:
    assert ["own_tickets"] == allowed_to(Person.CUSTOMER)
    assert allowed_to(Person.OPERATOR) == sorted(allowed_to(Person.OPERATOR))
