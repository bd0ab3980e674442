"""The watchdog with short patience: a clock that is silent for eight seconds is told of, and it looks each second.

Eight is four beats of the clock: enough for a busy machine.
"""

from core.runtime.schedules import watch
from worker import watchdog

if __name__ == "__main__":
    watch.CLOCK_SILENT_S = 8.0
    watchdog.INTERVAL_S = 1
    watchdog.main()
