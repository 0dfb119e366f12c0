"""The morning page inside Airflow's interface, for whoever is logged in.

A page beside the others in the menu, served by the api-server from the lake. Airflow serves the app of a plugin to everybody unless the
app itself asks who is there: this one does.
"""

from __future__ import annotations

import re

from airflow.api_fastapi.core_api.security import get_user
from airflow.plugins_manager import AirflowPlugin
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import HTMLResponse

from pipeline.lake.addresses import REPORTS, page_index
from pipeline.operations.deployment import lake_of_environment

ROOT = "/morning-page"
# The pages that nights write, and nothing else of the lake, whatever a path says.
PAGES = re.compile(
    r"(day=\d{4}-\d{2}-\d{2}/)?index(\.[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*)?\.html|day=\d{4}-\d{2}-\d{2}/validation\.html", re.ASCII
)
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'",
    "Cache-Control": "private, no-cache",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

app = FastAPI(title="Morning page", dependencies=[Depends(get_user)], openapi_url=None)


@app.get("/")
def show_newest_page() -> HTMLResponse:
    """Return the page of the newest night that has one, or the list of all where none has."""
    lake = lake_of_environment()
    pages = [address for address in lake.list_addresses(REPORTS, suffix="index.html") if address != page_index()]
    # Its links lead to other pages, so the address of the page itself must be that of the browser.
    return _redirect(max(pages, default=page_index()).removeprefix(REPORTS))


@app.get("/{path:path}")
def show_page(path: str) -> HTMLResponse:
    """Return a page of the lake; 404 for any other path."""
    if not PAGES.fullmatch(path):
        raise HTTPException(404, "no such page")
    try:
        text = lake_of_environment().read_text(f"{REPORTS}{path}")
    except FileNotFoundError:
        raise HTTPException(404, "no such page") from None
    return HTMLResponse(text, headers=HEADERS)


def _redirect(path: str) -> HTMLResponse:
    return HTMLResponse(status_code=307, headers={**HEADERS, "Location": f"{ROOT}/{path}"})


class MorningPage(AirflowPlugin):
    """Adds the page to Airflow's menu."""

    name = "morning_page"
    fastapi_apps = [  # noqa: RUF012 - as Airflow declares it
        {"app": app, "url_prefix": ROOT, "name": "Morning page"}
    ]
    external_views = [  # noqa: RUF012 - as Airflow declares it
        {"name": "Morning page", "href": f"{ROOT}/", "destination": "nav", "url_route": "morning-page"}
    ]
