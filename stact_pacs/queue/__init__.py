"""A series becomes a job: its states and moves as data, the retry rule, the timers and the worker."""
