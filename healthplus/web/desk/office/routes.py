"""The routes of the office."""

from __future__ import annotations

from litestar import Controller

from healthplus.web.desk.office.administration_accounts import AccountsController
from healthplus.web.desk.office.asks import AskController, AsksController
from healthplus.web.desk.office.audit import AuditController, ClinicAuditController
from healthplus.web.desk.office.board import BoardSetupController
from healthplus.web.desk.office.breaches import BreachesController
from healthplus.web.desk.office.clinic_pictures import ClinicPicturesController
from healthplus.web.desk.office.clinics import ClinicController, OfficesController
from healthplus.web.desk.office.desk_accounts import DeskAccountsController
from healthplus.web.desk.office.leave import LeaveController
from healthplus.web.desk.office.money import MoneyController
from healthplus.web.desk.office.no_shows import NoShowsController
from healthplus.web.desk.office.providers import ProvidersController
from healthplus.web.desk.office.refunds import RefundsController
from healthplus.web.desk.office.services import ServicesController
from healthplus.web.desk.office.system import SystemController
from healthplus.web.desk.office.tills import TillsController
from healthplus.web.desk.office.walk_ins import WalkInRulesController
from healthplus.web.desk.office.week import WeekController

OFFICE: tuple[type[Controller], ...] = (
    OfficesController,
    ClinicController,
    ClinicPicturesController,
    WeekController,
    LeaveController,
    BoardSetupController,
    ServicesController,
    NoShowsController,
    WalkInRulesController,
    TillsController,
    ProvidersController,
    DeskAccountsController,
    AccountsController,
    AskController,
    AsksController,
    RefundsController,
    ClinicAuditController,
    AuditController,
    BreachesController,
    MoneyController,
    SystemController,
)
