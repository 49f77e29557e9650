"""axe-core on every page of the portal, light and dark, phone and desktop: nothing of WCAG 2.2 A and AA."""

from __future__ import annotations

from pathlib import Path

import axe_core_python
import pytest
from playwright.sync_api import Browser

from tests.browser.driver import sign_in, sign_in_customer
from tests.browser.fake_api import FakeApi
from tests.browser.shots import PAGES, SIZES

AXE = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text()
RULES = """async () => {
  const sets = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
  const {violations} = await axe.run(document, {runOnly: sets});
  const where = (node) => node.target.join(" ") + " " + node.failureSummary.split("\\n")[1];
  return violations.map((found) => `${found.id}: ${found.nodes.map(where).join("; ")}`);
}"""


@pytest.mark.parametrize(("size", "scheme"), [("phone", "light"), ("desktop", "dark")])
@pytest.mark.parametrize("who", sorted({p[1] for p in PAGES}))
def test_axe_finds_nothing(browser: Browser, api: FakeApi, who: str, size: str, scheme: str) -> None:
    width, height = SIZES[size]
    # axe is put into the page by hand, which the portal's own policy rightly refuses.
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        bypass_csp=True,
        reduced_motion="reduce",
    )
    page = context.new_page()
    if who == "customer":
        sign_in_customer(page, api.url)
    elif who:
        sign_in(page, api.url, who)
    found = {}
    for name, _, path, ready, act in (p for p in PAGES if p[1] == who):
        page.goto(api.url + path)
        page.locator(ready).first.wait_for()
        act(page)
        page.evaluate(AXE)
        found[name] = page.evaluate(RULES)
    context.close()
    assert {} == {name: said for name, said in found.items() if said}
