"""What documents refer to is there: alarms' runbook sections, links between files, every outcome's remedy."""

import re
from pathlib import Path

import pytest

from tests import documents

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_every_alarm_names_a_section_of_the_runbook():
    named = set(
        re.findall(r"docs/runbook\.md#([a-z-]+)", (ROOT / "template.yaml").read_text(encoding="utf-8"))
    )
    assert named
    assert set() == named - anchors(ROOT / "docs" / "runbook.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path):
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_pages_name_in_code_are_there(page: Path):
    for name in re.findall(
        r"`((?:docs|tests|bench|local|functions|layers|events)/[\w./-]+\.\w+)`", page.read_text("utf-8")
    ):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_pages_print_could_be_given_so(page: Path):
    name = str(page.relative_to(ROOT))
    printed = [each for _, lines in documents.blocks(name) for each in lines]
    for command in [*printed, *documents.inline_commands(name)]:
        if re.match(r"(\S*/)?servelo [a-z]+ |aws [a-z0-9-]+ [a-z]", command) and "…" not in command:
            documents.check_command(command)


@pytest.mark.parametrize(
    "command",
    [
        "servelo inbound delete ID",
        "servelo keys revoke one",
        "aws ses set-active-rule-set",
        "aws kms enable-key",
        "aws kms enable-key --key-id K --now",
    ],
)
def test_a_command_that_does_not_exist_is_seen(command: str):
    with pytest.raises(ValueError, match=re.escape(command)):
        documents.check_command(command)


def rows(page: str, width: int) -> dict[str, list[float]]:
    """Return the numbers of a page's table rows by their first cell, of rows that hold *width* numbers."""
    found = {}
    for line in (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        numbers = [float(cell) for cell in cells[1:] if re.fullmatch(r"[\d.]+", cell)]
        if line.startswith("|") and len(numbers) == width:
            found[cells[0]] = numbers
    return found


def test_the_cost_of_a_million_tickets_follows_from_the_requests_that_are_counted():
    cost = rows("limits.md", 3)
    work = rows("data-model.md", 5)
    ticket, mail = work["a new ticket"], work["a sent mail"]
    mails = cost["SES, mails out"][0]
    counted = {
        "S3, GET": ticket[0],
        # The notification and each mail are received and deleted; the mails are queued at once.
        "SQS, requests": 2 + ticket[2] + 2 * mails,
        "DynamoDB, write units of the table": ticket[4] + mails * mail[4],
        "DynamoDB, write units of the indexes, at most": ticket[4] + mails * mail[4],
    }
    assert counted == {part: cost[part][0] for part in counted}
    for part, (count, price, stated) in cost.items():
        assert round(count * price, 1) == stated, part
    (together,) = rows("limits.md", 1)["together"]
    assert round(sum(stated for _, _, stated in cost.values()), 1) == together
