"""How long a process that is told to stop takes, whichever kind it is: whoever supervises it waits for ten seconds."""

STOPS_WITHIN = 7.0  # seconds for the steps at hand; the whole process group is gone in ten
