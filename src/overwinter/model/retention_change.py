"""Whether a policy keeps recovery points for less long than another one did. Pure rules."""

from overwinter.model.policy import PolicyContent


def is_shorter(old: PolicyContent, new: PolicyContent) -> bool:
    """Whether ``new`` drops one of the retention rules of ``old``, or counts less in one."""
    counts = {rule.name: rule.count for rule in new.rules}
    return any(counts.get(rule.name, 0) < rule.count for rule in old.rules)
