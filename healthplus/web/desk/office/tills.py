"""The tills of a clinic's desks, by day: what was expected in each, and what was counted."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from litestar import Controller, Response, get

from healthplus.console.console import queries
from healthplus.csv_cells import cell
from healthplus.money import in_units
from healthplus.web.desk.office.clinic import read_clinic
from healthplus.web.desk.office.forms import Form
from healthplus.web.desk.office.frame import ask, office_page
from healthplus.web.desk.session import needs
from healthplus.web.http.ids import ClinicId
from healthplus.web.http.payment_words import DESK_METHODS
from healthplus.web.pages.chart import Text
from healthplus.web.pages.rendering import document, language_of
from healthplus.web.services import AnyRequest

_DAYS = timedelta(days=31)


class TillsController(Controller):
    path = "/office/{clinic_id:int}/tills"

    @get(**needs("manage_tills"))
    async def tills(self, request: AnyRequest, clinic_id: ClinicId, until: Text = "") -> Response[str]:
        """Show the tills of a month up to a day, by default today."""
        form = Form({"until": until}, language_of(request))
        found = await ask(request, queries.tills, clinic_id, form.day("until"))
        last_day = date.fromisoformat(found["last_day"])
        if form.is_good:
            form.given["until"] = found["last_day"]
        clinic = await read_clinic(request, clinic_id)
        return office_page(
            request, "tills.html", clinic_id, "tills", form, clinic=clinic, tills=found["tills"], methods=DESK_METHODS,
            last_day=last_day, day_before=last_day - _DAYS, day_of=date.fromisoformat,
        )  # fmt: skip

    @get("/csv", **needs("manage_tills"))
    async def as_csv(self, request: AnyRequest, clinic_id: ClinicId, until: Text = "") -> Response[bytes]:
        """Return the same as a table: a row for each till and method."""
        form = Form({"until": until}, language_of(request))
        found = await ask(request, queries.tills, clinic_id, form.day("until"))
        zone = ZoneInfo((await read_clinic(request, clinic_id))["time_zone"])
        file = io.StringIO()
        table = csv.writer(file)
        table.writerow(
            [
                "day",
                "till of",
                "opened",
                "closed",
                "method",
                "currency",
                "expected",
                "counted",
                "difference",
                "note",
                "cash at opening",
            ]
        )
        for till in found["tills"]:
            currency = till["currency"]
            closing = till["closings"][0] if till["is_closed"] else None
            for method in DESK_METHODS:
                expected = till["expected"][f"{method}_minor"]
                counted = closing[f"{method}_counted_minor"] if closing else None
                table.writerow(
                    [
                        till["day"],
                        cell(till["by"]),
                        f"{till['opened_at'].astimezone(zone):%H:%M}",
                        f"{closing['closed_at'].astimezone(zone):%Y-%m-%d %H:%M}" if closing else "",
                        method,
                        currency,
                        in_units(expected, currency),
                        "" if counted is None else in_units(counted, currency),
                        "" if counted is None else in_units(counted - expected, currency),
                        cell(closing["note"]) if closing else "",
                        in_units(till["float_minor"], currency) if method == "cash" else "",
                    ]
                )
        name = f"attachment; filename=tills-{found['last_day']}.csv"
        return document(request, file.getvalue().encode(), "text/csv", headers={"Content-Disposition": name})
