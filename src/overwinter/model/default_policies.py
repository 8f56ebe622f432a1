"""The two policies that every vault is born with, as in Azure; and standard policies in few words."""

from collections.abc import Callable
from datetime import time
from uuid import UUID

from overwinter.model.extension import Extension
from overwinter.model.long_term import EveryDay, Rule, RuleName
from overwinter.model.point import Consistency
from overwinter.model.policy import DEFAULT_POLICY, ENHANCED_POLICY, Policy, PolicyContent, PolicyType
from overwinter.model.policy_document import document_of
from overwinter.model.schedule import DailySchedule, HourlySchedule


def standard_content(
    *,
    instant_days: int = 2,
    daily_days: int = 30,
    required_consistency: Consistency = Consistency.CRASH,
    run_at: time = time(2, 30),
) -> PolicyContent:
    """A standard policy: one backup a day, in UTC."""
    return PolicyContent(
        type=PolicyType.V1,
        time_zone="UTC",
        schedule=DailySchedule(run_at),
        instant_days=instant_days,
        rules=(Rule(RuleName.DAILY, daily_days, EveryDay()),),
        extension=Extension(required_consistency=required_consistency),
    )


def enhanced_content() -> PolicyContent:
    """Azure's enhanced policy: every 4 hours from 8:00 UTC on, 7 days on the host, 180 in the vault."""
    return PolicyContent(
        type=PolicyType.V2,
        time_zone="UTC",
        schedule=HourlySchedule(interval=4, start=time(8), duration=24),
        instant_days=7,
        rules=(Rule(RuleName.DAILY, 180, EveryDay()),),
    )


def new_policy(policy_id: UUID, vault_id: UUID, name: str, content: PolicyContent) -> Policy:
    """A policy that says ``content``."""
    return Policy(policy_id, vault_id, name, content, document_of(content))


def default_policies(vault_id: UUID, new_id: Callable[[], UUID]) -> tuple[Policy, Policy]:
    """DefaultPolicy and EnhancedPolicy (figures: reference articles)."""
    return (
        new_policy(new_id(), vault_id, DEFAULT_POLICY, standard_content()),
        new_policy(new_id(), vault_id, ENHANCED_POLICY, enhanced_content()),
    )
