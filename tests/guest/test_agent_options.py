"""Options of the agent that forbid commands: the lists are changed, and nothing beside them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.guest.agent_options import allowing
from overwinter.model.agent import FREEZE_COMMANDS

FREEZE = "guest-fsfreeze-freeze"
ALL = ",".join(sorted(FREEZE_COMMANDS))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"block-rpcs={FREEZE},guest-exec", "block-rpcs=guest-exec"),
        (f"blacklist = guest-exec, {FREEZE}", "blacklist = guest-exec"),
        (f"[general]\nblock-rpcs={ALL}\nverbose=1\n", "[general]\nblock-rpcs=\nverbose=1\n"),
        (f'BLACKLIST_RPC="guest-exec,{FREEZE}"  # why', 'BLACKLIST_RPC="guest-exec"  # why'),
        (f'DAEMON_ARGS="-v --block-rpcs={FREEZE} -d"', 'DAEMON_ARGS="-v --block-rpcs= -d"'),
        (
            f'FILTER_RPC_ARGS="--allow-rpcs=guest-ping,{FREEZE}"',
            f'FILTER_RPC_ARGS="--allow-rpcs=guest-ping,{FREEZE},guest-fsfreeze-status,guest-fsfreeze-thaw"',
        ),
        (f"# block-rpcs={FREEZE}", f"# block-rpcs={FREEZE}"),
        (f"fsfreeze-hook=/etc/qemu/{FREEZE}", f"fsfreeze-hook=/etc/qemu/{FREEZE}"),
        (f"block-rpcs={FREEZE}-list", f"block-rpcs={FREEZE}-list"),
        ("allow-rpcs=\n", "allow-rpcs=\n"),
    ],
)
def test_the_freeze_is_allowed(before: str, after: str) -> None:
    assert allowing(before, FREEZE_COMMANDS) == after
    assert allowing(after, FREEZE_COMMANDS) == after


names = st.lists(
    st.sampled_from([*sorted(FREEZE_COMMANDS), "guest-exec", "guest-ping", "guest-info"]), min_size=1
)


@given(names, st.sampled_from(["block-rpcs", "blacklist"]), st.text(alphabet="ab\n \t=[]'", max_size=20))
def test_what_others_are_forbidden_stays_forbidden(listed: list[str], key: str, around: str) -> None:
    text = f"{around}\n{key}={','.join(listed)}\n{around}"
    kept = [name for name in listed if name not in FREEZE_COMMANDS]
    assert allowing(text, FREEZE_COMMANDS) == f"{around}\n{key}={','.join(kept)}\n{around}"
