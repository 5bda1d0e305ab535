"""The site in a browser, offline: every page, wide and narrow, with and without scripts.

Needs Playwright and a Chromium (`apt-get install chromium`), and says so where one is missing. The
site is built first, unless the variable NOETHERAX_SITE names the folder of one that is built.
"""

import functools
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parent.parent
WIDTHS = (1280, 390)
TERMS = ("friction", "validation", "csv", "callback", "notebook", "tutorial", "changelog")
TERMS += ("ensemble", "noise", "angle", "momentum")

pytestmark = pytest.mark.slow  # the gate gives it the site that it has built


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    given = os.environ.get("NOETHERAX_SITE")
    if given:
        return Path(given)
    pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True)
    return folder


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address(site):
    handler = functools.partial(_Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    path = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
    if path is None:
        pytest.skip("there is no Chromium: `apt-get install chromium` brings one")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


def playwright_error():
    from playwright.sync_api import TimeoutError

    return TimeoutError


def pages(site: Path) -> list[str]:
    """Addresses of all pages, relative to the site."""
    found = (path.parent.relative_to(site).as_posix() for path in site.rglob("index.html"))
    return sorted("" if place == "." else f"{place}/" for place in found)


def watched(browser, address, **options):
    """A page of a browser, and a list of everything that goes wrong on it."""
    page, wrong = browser.new_page(**options), []
    host = urlsplit(address).netloc

    def request(asked):
        if urlsplit(asked.url).netloc not in ("", host):
            wrong.append(f"asks another host: {asked.url}")

    def console(message):
        if message.type == "error":
            wrong.append(f"console: {message.text}")

    def response(answer):
        if answer.status >= 400:
            wrong.append(f"{answer.status}: {answer.url}")

    def failed(asked):
        # The next page ends what this one is still loading; what is missing has been answered so.
        if asked.failure != "net::ERR_ABORTED":
            wrong.append(f"failed: {asked.url}: {asked.failure}")

    page.on("request", request)
    page.on("console", console)
    page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
    page.on("requestfailed", failed)
    page.on("response", response)
    return page, wrong


OVERFLOW = """() => {
  const wide = document.documentElement.clientWidth;
  return [document.documentElement.scrollWidth - wide,
          [...document.querySelectorAll("article *")]
            .filter(x => x.getBoundingClientRect().right > wide + 1)
            .slice(0, 3).map(x => x.outerHTML.slice(0, 80))];
}"""


def test_every_page_opens_offline_and_fits(site, address, browser):
    page, wrong = watched(browser, address)
    problems, places = [], pages(site)
    for place in places:
        page.set_viewport_size({"width": WIDTHS[0], "height": 800})
        page.goto(address + place, wait_until="load")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            over, elements = page.evaluate(OVERFLOW)
            if over > 0:
                problems.append(f"{place or 'home'}: {over} pixels too wide at {width}: {elements}")
        if page.locator("article").inner_text().count("\\("):
            problems.append(f"{place or 'home'}: a formula is not typeset")
        missing = page.evaluate("() => [...document.images].filter(x => !x.alt).map(x => x.src)")
        problems += [f"{place or 'home'}: no alternative text: {source}" for source in missing]
        problems += [f"{place or 'home'}: {each}" for each in wrong]
        wrong.clear()
    page.close()
    assert len(places) > 40
    assert not problems, "\n".join(problems)


def test_code_of_88_columns_is_not_cut_off(address, browser):
    page, _ = watched(browser, address, viewport={"width": WIDTHS[0], "height": 800})
    page.goto(address + "tour/")
    characters = page.evaluate("""() => {
      const code = document.querySelector("article pre > code");
      const probe = document.createElement("span");
      probe.textContent = "0".repeat(88);
      const style = getComputedStyle(code);
      const room = code.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
      code.append(probe);
      return 88 * room / probe.getBoundingClientRect().width;
    }""")
    page.close()
    assert characters >= 88


def test_search_finds_what_users_look_for(address, browser):
    page, wrong = watched(browser, address, viewport={"width": WIDTHS[0], "height": 800})
    page.goto(address)
    box, found = page.locator("[data-md-component=search-query]"), {}
    for term in TERMS:
        box.fill(term)
        link = page.locator(f"a[href*='h={term}']").first  # of a result, which highlights the term
        try:
            link.wait_for(state="attached", timeout=10_000)
            found[term] = True
        except playwright_error():
            found[term] = False
    page.close()
    assert all(found.values()), found
    assert not wrong


def test_it_reads_without_scripts(address, browser):
    page, wrong = watched(browser, address, java_script_enabled=False)
    page.goto(address + "concepts/mathematics/")
    assert page.locator(".katex").count() > 30
    assert page.locator(".katex math").count() > 30
    for place in ("", "tutorials/keep_a_charge/", "results/", "faq/"):
        page.goto(address + place)
        assert len(page.locator("article").inner_text()) > 500
    page.close()
    assert not wrong


def test_it_can_be_found_and_shared(site):
    locations = re.findall("<loc>(.*?)</loc>", (site / "sitemap.xml").read_text())
    assert len(locations) == len(pages(site))
    home = (site / "index.html").read_text()
    for name in ("og:title", "og:description", "og:image", "og:url"):
        assert f'property="{name}"' in home
    assert re.search(r'<link rel="canonical" href="https://', home)
