"""Takes the pictures of docs/website.md, of a server that simulates every call: ``python docs/shots.py [FOLDER]``."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from playwright.sync_api import Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
TOKEN = "token-of-the-pictures"
ACCOUNTS = f"""\
[render2]
default = "production"

[render2.production]
api_key = "rnd_0123456789abcdef"
permissions = {{ delete_postgres = "deny" }}

[render2.staging]
api_key = "rnd_fedcba9876543210"
permissions = {{ write = "allow" }}

[serve]
approval_wait = 0.1

[tenants.acme]
token = "{TOKEN}"

[schedules.nightly]
script = "report.lua"
cron = "30 2 * * *"
timezone = "Europe/Berlin"
"""
REPORT = """\
-- Lists the newest deploy of six services.
local render = app.integrations.render2
local services = render.list_services({ limit = 6 }).services
parallel.map(services, function(service)
  local deploy = render.list_deploys({ service_id = service.id, limit = 1 }).deploys[1]
  print(service.name, deploy.status, deploy.commit.message)
end)
"""
SCALE = """\
-- Scales checkout-api up for the sale.
local render = app.integrations.render2
local service = render.list_services({ limit = 1 }).services[1]
render.scale_service({ service_id = service.id, num_instances = 4 })
"""
RESTART = """\
-- Restarts three services after the change of their certificates.
local render = app.integrations.render2
parallel.map(render.list_services({ limit = 3 }).services, function(service)
  render.restart_service({ service_id = service.id })
end)
"""
BROKEN = """\
-- Says how a service is that is gone.
local service = app.integrations.render2.get_service({ service_id = "srv-gone" })
print(service.name)
"""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve the website over simulators, with a few runs to look at, and yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    accounts = folder / "accounts.toml"
    accounts.touch(mode=0o600)
    accounts.write_text(ACCOUNTS, encoding="utf-8")
    (folder / "report.lua").write_text(REPORT, encoding="utf-8")
    words = [sys.executable, "-m", "kosmolua", "serve", "--simulate", "--accounts", str(accounts)]
    environment = os.environ | {"XDG_STATE_HOME": str(folder / "state"), "XDG_CONFIG_HOME": str(folder / "config")}
    with subprocess.Popen(
        [*words, "--listen", f"127.0.0.1:{port}"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(f"{address}/readyz", server)
            for name, source in (("report", REPORT), ("gone", BROKEN), ("restart", RESTART), ("scale", SCALE)):
                _post(f"{address}/api/runs", source=source, name=f"{name}.lua")
            _post(f"{address}/api/plans", source=RESTART, name="restart.lua")
            yield address
        finally:
            server.terminate()


def _wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + 120
    while True:
        try:
            if requests.get(address, timeout=5).ok:
                return
        except requests.RequestException:
            if server.poll() is not None or time.monotonic() > ends:
                raise
        time.sleep(0.1)


def _post(address: str, **body: object) -> None:
    requests.post(address, json=body, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60).raise_for_status()


def take(folder: Path) -> None:
    """Take a picture of each page, in a window of 1200 by 760 pixels, and of a question on a phone."""
    with tempfile.TemporaryDirectory() as place, served(Path(place)) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--hide-scrollbars"])
        page = browser.new_page(viewport={"width": 1200, "height": 760}, base_url=address, color_scheme="light")
        page.goto("/")
        page.locator("input[type=password]").fill(TOKEN)
        page.keyboard.press("Enter")
        page.wait_for_url("**/approvals")
        _shoot(page, folder / "inbox.png", "/approvals", "Scales checkout-api")
        _shoot(page, folder / "runs.png", "/runs", "Lists the newest deploy")
        page.get_by_role("link", name="Lists the newest deploy").first.click()
        _shoot(page, folder / "run.png", None, "list_deploys")
        _shoot(page, folder / "playground.png", "/playground", "Playground")
        _shoot(page, folder / "catalogue.png", "/catalogue", "Render")
        _shoot(page, folder / "permissions.png", "/catalogue/render2", "People change this")
        _shoot(page, folder / "plans.png", "/plans", "3 to change")
        _shoot(page, folder / "schedules.png", "/schedules", "nightly")
        _shoot(page, folder / "accounts.png", "/accounts", "staging")
        _shoot(page, folder / "insights.png", "/insights", "Insights")
        _shoot(page, folder / "docs.png", "/docs", "Docs")
        page.set_viewport_size({"width": 390, "height": 760})
        _shoot(page, folder / "phone.png", "/approvals", "Scales checkout-api")
        browser.close()


def _shoot(page: Page, file: Path, path: str | None, text: str) -> None:
    if path:
        page.goto(path)
    expect(page.get_by_text(text).first).to_be_visible(timeout=60_000)
    page.screenshot(path=file, animations="disabled")


if __name__ == "__main__":
    take(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
