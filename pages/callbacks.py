"""What a click does runs to its end, whatever is clicked meanwhile.

Streamlit breaks a script off for the next click where the script next touches the session's state, and a callback is
part of a script: its action would be done and its message lost, or what was typed be dropped before it was kept.
"""

import threading
from collections.abc import Callable
from functools import wraps

from streamlit.runtime.scriptrunner.script_runner import ScriptRunner
from streamlit.runtime.scriptrunner_utils.script_run_context import RunLocation, ThreadState

LOOK = "_maybe_handle_execution_control_request"  # of Streamlit 1.67, which has no setting for it


def run_whole() -> None:
    """From now on no callback is broken off; Streamlit itself looks for the next click right after it."""
    look = getattr(ScriptRunner, LOOK)
    if not hasattr(look, "__wrapped__"):
        setattr(ScriptRunner, LOOK, _outside_callbacks(look))


def _outside_callbacks(look: Callable[[ScriptRunner], None]) -> Callable[[ScriptRunner], None]:
    @wraps(look)
    def look_outside(runner: ScriptRunner) -> None:
        is_script = threading.current_thread() is runner._script_thread
        if not (is_script and ThreadState.get().run_location is RunLocation.CALLBACK):
            look(runner)

    return look_outside
