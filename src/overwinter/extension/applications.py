"""The applications of the guest around a snapshot: brought to rest by a pre-script, let go by a post-script.

`go_on` is called however the snapshot ended, and does nothing when `rest` started nothing.

Python 3.6, standard library only.
"""

import os
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional

from overwinter.extension.log import log

if TYPE_CHECKING:
    from overwinter.extension.scripts import Plan, ScriptProblem

_DIRECTORY = "/etc/azure"
_FILES = ("VMSnapshotPluginHost.conf", "VMSnapshotScriptPluginConfig.json")


class Applications:
    """The scripts of one session and how they went.

    ``freeze``: file systems are to be frozen as well.
    """

    def __init__(self) -> None:
        self.freeze = True
        self._plan: "Optional[Plan]" = None
        self._problem: "Optional[ScriptProblem]" = None
        self._to_undo = False
        self._done = False

    def rest(self, stop: Callable[[], bool]) -> bool:
        """Run the pre-script if one is configured; false when the backup must not go on. Never raises.

        ``stop`` is asked while it runs: once it says yes, the script is cut short.
        """
        if not any(os.path.lexists(os.path.join(_DIRECTORY, name)) for name in _FILES):
            return True
        # Takes a second to load on a slow machine, and most guests have no scripts.
        from overwinter.extension import scripts

        try:
            self._plan = scripts.read_plan(_DIRECTORY)
            if self._plan is None:
                return True
            self.freeze = self._plan.freeze
            self._to_undo = True
            scripts.run_pre(self._plan, log, stop)
        except scripts.ScriptProblem as problem:
            self._problem = problem
            self._to_undo = problem.started
            return self._plan is None or (self._plan.continue_on_failure and not stop())
        self._done = True
        return True

    def go_on(self) -> None:
        """Run the post-script once, if the pre-script ran. Never raises."""
        if self._plan is None or not self._to_undo:
            return
        self._to_undo = False
        from overwinter.extension import scripts

        try:
            scripts.run_post(self._plan, log)
        except scripts.ScriptProblem as problem:
            self._done = False
            self._problem = self._problem or problem

    def problem(self) -> str:
        """What went wrong, in a sentence; empty when nothing did."""
        return "" if self._problem is None else self._problem.message

    def report(self) -> Dict[str, Any]:
        """For the host. ``rest``: the pre-script succeeded, and the post-script if it has run already."""
        return {
            "configured": self._plan is not None or self._problem is not None,
            "rest": self._done,
            "freeze": self.freeze,
            "required": self._plan is not None and not self._plan.continue_on_failure,
            "code": 0 if self._problem is None else int(self._problem.code),
            "message": self.problem()[:500],
        }
