"""How long to wait for the next key before the model is asked: the times of keys and of answers come in, seconds go out.

An answer that comes before the next key is worth asking for at once. One that takes longer than that is asked for in vain,
key after key, and heats the machine: then it is better to see first whether the keys have paused. So the wait grows with the
share of the usual time between two keys that an answer takes, and it counts from the key, not from the editor's question.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace

KEYS = 16  # pauses that are remembered
ENOUGH = 4  # of them, before there is a rhythm to speak of
PAUSE = 1.0  # seconds: a longer one is a thought, and no rhythm
IN_TIME = 0.75  # of that time: most answers that take no longer come before the next key
TOO_LATE = 1.25  # of it: few answers that take longer do
BEAT = 1.5  # usual times between two keys, after which the keys have most likely paused
LONGEST = 0.3  # seconds that are waited in addition to nothing the user wished for
SMOOTH = 0.3  # the weight of the newest answer


@dataclass(frozen=True)
class Rhythm:
    """Of one person at one machine. Times are seconds of a monotonic clock that is the caller's."""

    last_key: float | None = None
    pauses: tuple[float, ...] = ()  # between keys, newest last
    latency: float = 0.0  # of an answer, smoothed

    def key(self, now: float) -> Rhythm:
        """A key was pressed."""
        pause = None if self.last_key is None else now - self.last_key
        pauses = self.pauses if pause is None or pause > PAUSE else (*self.pauses, pause)[-KEYS:]
        return replace(self, last_key=now, pauses=pauses)

    def answered(self, seconds: float) -> Rhythm:
        """The model has taken so long."""
        latency = self.latency + SMOOTH * (seconds - self.latency) if self.latency else seconds
        return replace(self, latency=latency)

    def stopped(self, seconds: float) -> Rhythm:
        """The model was stopped after so long: it would have taken longer."""
        return self.answered(seconds) if seconds > self.latency else self

    @property
    def usual_pause(self) -> float | None:
        return statistics.median(self.pauses) if len(self.pauses) >= ENOUGH else None

    def wait(self, shortest: float) -> float:
        """Seconds from a key to the question about it: `shortest`, or longer where the next key would come before the answer."""
        pause = self.usual_pause
        if not pause:
            return shortest
        too_late = min(1.0, max(0.0, (self.latency / pause - IN_TIME) / (TOO_LATE - IN_TIME)))
        return max(shortest, min(LONGEST, BEAT * pause * too_late))
