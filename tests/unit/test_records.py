"""Dataclasses of ours: what the standard library's do, and what they load and compile."""

import copy
import dataclasses
import pickle

import pytest

from servelo.records import dataclass, field, finish, replace


@dataclass(frozen=True, slots=True)
class Point:
    """Of the standard kind but for the decorator."""

    x: int
    y: int = 2
    tags: list[str] = field(default_factory=list)
    secret: str = field(default="", repr=False)

    @property
    def far(self) -> bool:
        return self.x > 9


@dataclass(slots=True)
class Counter:
    n: int = 0

    def __post_init__(self) -> None:
        self.n += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    doc: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived(Base):
    longest: int


@dataclass(slots=True, eq=False)
class ByIdentity:
    n: int = 0


def test_values_come_by_place_by_name_and_by_default():
    point = Point(1, tags=["a"])

    assert (1, 2, ["a"], "") == (point.x, point.y, point.tags, point.secret)
    assert not point.far
    assert Point(1).tags is not Point(1).tags


@pytest.mark.parametrize(("places", "names"), [((), {}), ((1, 2, [], "", 5), {}), ((1,), {"z": 1})])
def test_wrong_arguments_are_a_type_error_each_time(places, names):
    for _ in range(2):
        with pytest.raises(TypeError, match=r"Point\.__init__\(\)"):
            Point(*places, **names)


def test_equal_are_those_of_one_class_with_equal_values():
    assert Point(1) == Point(1, 2)
    assert Point(1) != Point(2)
    assert Point(1) != (1, 2, [], "")
    assert Counter(1) == Counter(1)
    assert ByIdentity() != ByIdentity()


def test_what_is_frozen_has_a_hash_and_cannot_be_changed():
    assert hash(Derived(longest=1)) == hash(Derived(longest=1, doc=""))
    for change in (lambda: setattr(Point(1), "x", 2), lambda: delattr(Point(1), "x")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            change()
    with pytest.raises(TypeError, match="unhashable"):
        hash(Counter())


def test_there_is_no_room_for_other_attributes():
    with pytest.raises(AttributeError):
        Counter().other = 1


def test_representation_leaves_out_what_is_secret():
    assert "Point(x=1, y=2, tags=[])" == repr(Point(1, secret="hidden"))


def test_post_init_is_called():
    assert Counter(n=2) == Counter(4 - 2)


def test_inherited_fields_come_first_and_names_are_needed_where_they_are_asked_for():
    assert "Derived(doc='d', longest=3)" == repr(Derived(longest=3, doc="d"))
    with pytest.raises(TypeError):
        Derived("d", 3)


def test_replace_copy_and_pickle_keep_the_values():
    point = Point(1, 5, ["a"], "s")

    assert Point(7, 5, ["a"], "s") == replace(point, x=7) == dataclasses.replace(point, x=7)
    assert point == copy.copy(point) == copy.deepcopy(point)
    assert point == pickle.loads(pickle.dumps(point))  # noqa: S301 - made here
    with pytest.raises(TypeError):
        replace(point, z=1)


def test_the_standard_library_takes_them_for_dataclasses():
    assert dataclasses.is_dataclass(Point)
    assert ["doc", "longest"] == [each.name for each in dataclasses.fields(Derived)]
    assert {"x": 1, "y": 2, "tags": [], "secret": ""} == dataclasses.asdict(Point(1))


def test_patterns_of_a_match_statement_go_by_place():
    match Point(3, 4):
        case Point(x, y):
            assert (3, 4) == (x, y)


def test_classes_of_a_module_can_be_finished_before_they_are_used():
    @dataclass(frozen=True, slots=True)
    class Early:
        """Never made here."""

        n: int

    first = Early.__init__
    finish(__name__)

    assert first is not Early.__init__
    assert 1 == Early(1).n
