"""``overwinter policy``: every option reaches the service, wrong words are told, the preview is right."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import Result
from hypothesis import given
from typer.testing import CliRunner

from overwinter.cli import policy_words as words
from overwinter.cli.main import app
from overwinter.cli.preview_picture import picture
from overwinter.model.default_policies import enhanced_content, standard_content
from overwinter.model.long_term import DaysOfMonth, InMonths, OnWeekdays, WeekdaysOfMonth
from overwinter.model.policy import PolicyContent
from overwinter.model.preview import preview
from tests.api.served import VAULT, Served
from tests.model import policies

Run = Callable[..., Result]


@pytest.fixture
def run(served: Served) -> Run:
    def invoke(verb: str, name: str, *options: str) -> Result:
        place = ("--vault", "v1", "--dir", str(served.directory))
        return CliRunner().invoke(app, ["policy", verb, name, *options, *place])

    return invoke


def content_of(served: Served, name: str) -> PolicyContent:
    return served.service.policy(served.service.vaults.get("v1"), name).content


def json_of(result: Result, status: int = 0) -> Any:
    assert result.exit_code == status, result.output
    return json.loads(result.stdout)


def test_every_option_and_what_is_not_named_stays(run: Run, served: Served) -> None:
    options = (
        "--at 01:30 --time-zone Europe/Berlin --instant-days 4 --daily 30 --weekly 12 --weekly-on Sunday"
    )
    more = "--monthly 24 --yearly 7 --require-consistency file-system --without-agent fail --retries 5"
    rest = "--bandwidth-limit 50M --backup-window 22:00-06:00"
    days = ("--monthly-on", "1,last", "--yearly-on", "January,July last Sunday")
    made = json_of(run("create", "all", *options.split(), *more.split(), *rest.split(), *days, "--json"))
    assert made["schedule"] == "daily at 01:30"
    assert [(rule["count"], rule["unit"], rule["days"]) for rule in made["retention"]] == [
        (30, "days", "every day"),
        (12, "weeks", "Sunday"),
        (24, "months", "1,last"),
        (7, "years", "January,July last Sunday"),
    ]
    assert (made["bandwidth_limit"], made["backup_window"]) == (50 << 20, "22:00-06:00")
    assert (made["without_agent"], made["retries"]) == ("Fail", 5)
    before = content_of(served, "all")
    assert json_of(run("modify", "ALL", "--json"))["name"] == "all"
    assert content_of(served, "all") == before

    run("modify", "all", "--weekly", "0", "--bandwidth-limit", "none", "--backup-window", "none")
    changed = json_of(run("modify", "all", "--at", "03:00", "--daily", "60", "--json"))
    assert [rule["rule"] for rule in changed["retention"]] == ["Daily", "Monthly", "Yearly"]
    assert changed["retention"][0]["count"] == 60
    assert (changed["schedule"], changed["bandwidth_limit"]) == ("daily at 03:00", None)
    shown = run("show", "all").stdout
    assert "60 days" in shown and "24 months: 1,last" in shown


def test_from_daily_to_weekly_to_hourly_and_back(run: Run) -> None:
    run("create", "odd")
    weekly = json_of(run("modify", "odd", "--on", "Wednesday,Sunday", "--json"))
    assert (weekly["schedule"], weekly["instant_retention_days"]) == ("every Wednesday,Sunday at 02:30", 5)
    assert [(rule["rule"], rule["days"]) for rule in weekly["retention"]] == [("Weekly", "Wednesday,Sunday")]
    words_of = ("--every", "6", "--for", "12", "--at", "06:00")
    hourly = json_of(run("modify", "odd", *words_of, "--crash-consistent-only", "--json"))
    assert hourly["schedule"] == "every 6 hours from 06:00 on, for 12 hours"
    assert (hourly["type"], hourly["instant_retention_days"], hourly["crash_consistent_only"]) == (
        "V2",
        7,
        True,
    )
    assert [rule["rule"] for rule in hourly["retention"]] == ["Daily", "Weekly"]
    daily = json_of(run("modify", "odd", "--on", "every-day", "--freeze", "--instant-days", "20", "--json"))
    assert (daily["schedule"], daily["type"]) == ("daily at 06:00", "V2")


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        (("--instant-days", "9"), 1, "1 to 5 days"),
        (("--time-zone", "Mars"), 1, "Europe/Berlin"),
        (("--on", "Funday"), 2, "Sunday,Wednesday"),
        (("--at", "25:00"), 2, "02:30"),
        (("--at", "03:00", "--backup-window", "04:00-05:00"), 1, "Move one"),
        (("--monthly", "3", "--monthly-on", "whenever"), 2, "1,15,last"),
        (("--monthly-on", "1"), 2, "--monthly COUNT"),
        (("--yearly", "3", "--yearly-on", "Smarch 1"), 2, "January,July"),
        (("--for", "12"), 2, "--every"),
        (("--bandwidth-limit", "fast"), 2, "50M"),
        (("--bandwidth-limit", "1K"), 1, "at least"),
        (("--require-consistency", "hope"), 2, "application"),
        (("--daily", "0"), 1, "dailySchedule"),
    ],
)
def test_wrong_words(run: Run, options: tuple[str, ...], status: int, says: str) -> None:
    result = run("create", "wrong", *options)
    assert result.exit_code == status, result.output
    assert says in " ".join(result.output.replace("│", " ").split())
    assert run("show", "wrong").exit_code == 1


def test_one_that_exists_is_not_made_anew_and_one_that_does_not_is_not_modified(run: Run) -> None:
    error = json_of(run("create", "defaultpolicy", "--json"), status=1)["error"]
    assert error["code"] == "ResourceAlreadyExists" and "policy modify" in error["message"]
    assert json_of(run("modify", "nope", "--json"), status=1)["error"]["code"] == "ResourceNotFound"


def test_a_backup_is_kept_as_long_as_asked(served: Served) -> None:
    service = served.service
    service.auto_finish = True
    service.protect(service.vaults.get("v1"), service.machine("Web01"), "DefaultPolicy")
    place = ("--dir", str(served.directory))
    words_of = ("backup", "Web01", "--retain-until", "2999-12-31")
    assert CliRunner().invoke(app, [*words_of, *place]).exit_code == 0
    assert service.expires == datetime(2999, 12, 31, tzinfo=UTC)
    assert "KEPT UNTIL" in CliRunner().invoke(app, ["points", "Web01", *place]).stdout
    words_of = ("backup", "Web01", "--retain-until", "2001-12-31")
    assert CliRunner().invoke(app, [*words_of, *place]).exit_code == 1


def test_delete(run: Run, served: Served) -> None:
    run("create", "short-lived")
    assert "is deleted" in run("delete", "SHORT-lived").stdout
    assert json_of(run("show", "short-lived", "--json"), status=1)["error"]["code"] == "ResourceNotFound"
    service = served.service
    service.protect(service.vaults.get("v1"), service.machine("Web01"), "DefaultPolicy")
    assert (
        json_of(run("delete", "DefaultPolicy", "--json"), status=1)["error"]["code"] == "UserErrorPolicyInUse"
    )


def test_preview(run: Run) -> None:
    run("create", "long", "--weekly", "4", "--weekly-on", "Sunday", "--monthly", "6", "--monthly-on", "last")
    seen = json_of(run("preview", "long", "--from", "2026-01-01", "--days", "400", "--json"))
    assert (len(seen["days"]), len(seen["points"]), seen["too_many"], seen["warnings"]) == (400, 400, [], [])
    assert seen["days"][-1]["day"] == "2027-02-04"
    assert seen["days"][-1]["in_vault"]["Monthly"] == 6
    text = run("preview", "long", "--from", "2026-01-01", "--days", "400").stdout
    assert "on the host" in text and "vault: Monthly" in text and "2027-01" in text


def test_preview_warns_of_too_many_restore_points(run: Run) -> None:
    seen = json_of(run("preview", "EnhancedPolicy", "--from", "2026-01-01", "--days", "30", "--json"))
    assert seen["most_restore_points"] == 43
    # 8:00 of the first of January is the third of that day: the nineteenth comes at 0:00 of the fourth.
    assert seen["too_many"][0] == "2026-01-04T04:00:00Z"
    assert len(seen["too_many"]) == len(seen["points"]) - 18
    text = run("preview", "EnhancedPolicy", "--from", "2026-01-01", "--days", "30").stdout
    assert "Warning" in text and "keep them 2 days" in text


def test_the_picture() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    lines = picture(preview(standard_content(daily_days=3), start, 10)).splitlines()
    assert lines[1].split() == ["on", "the", "host", "▃▆████████", "3", "3"]
    assert lines[2].split() == ["vault:", "Daily", "▃▆████████", "3", "3"]
    assert lines[-4].split() == ["2026-01", *["·"] * 7, "D+D+D+"]
    hourly = picture(preview(enhanced_content(), start, 40)).splitlines()
    assert any(line.startswith("vault: InstantRestore") for line in hourly)
    assert max(map(len, lines + hourly)) <= 100


@given(policies.contents())
def test_days_are_read_as_they_are_written(policy: PolicyContent) -> None:
    for rule in policy.rules:
        text = words.days_text(rule.days)
        if isinstance(rule.days, OnWeekdays):
            assert words.read_weekdays(text) == rule.days.weekdays
        elif isinstance(rule.days, (DaysOfMonth, WeekdaysOfMonth)):
            assert words.read_month_days(text) == rule.days
        elif isinstance(rule.days, InMonths):
            assert words.read_year_days(text) == rule.days


def test_the_service_gives_back_what_it_was_sent(served: Served) -> None:
    document = {
        "backupManagementType": "AzureIaasVM",
        "timeZone": "w. europe STANDARD time",
        "schedulePolicy": {
            "schedulePolicyType": "simpleschedulepolicy",
            "scheduleRunFrequency": "weekly",
            "scheduleRunDays": ["monday", "SUNDAY"],
            "scheduleRunTimes": ["2018-01-24T10:00:00Z"],
        },
        "retentionPolicy": {
            "weeklySchedule": {
                "daysOfTheWeek": ["Monday"],
                "retentionTimes": ["2018-01-24T10:00:00Z"],
                "retentionDuration": {"count": "4", "durationType": "weeks"},
            }
        },
    }
    put = served.http.put(f"{VAULT}/backupPolicies/zones", json={"properties": document})
    assert put.status_code == 200, put.text
    answer = put.json()["properties"]
    assert answer["timeZone"] == "w. europe STANDARD time"
    assert answer["instantRpRetentionRangeInDays"] == 5
    assert answer["schedulePolicy"]["scheduleRunDays"] == ["Monday", "Sunday"]
    assert answer["schedulePolicy"]["scheduleRunTimes"] == ["2018-01-24T10:00:00Z"]
    again = served.http.put(f"{VAULT}/backupPolicies/zones", json=put.json())
    assert again.json() == put.json()
    document["timeZone"] = "nowhere"
    wrong = served.http.put(f"{VAULT}/backupPolicies/zones", json={"properties": document})
    assert wrong.status_code == 400
    assert wrong.json()["error"]["code"] == "BMSUserErrorInvalidPolicyInput"
