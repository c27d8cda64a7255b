"""Pages and a read-only API over the records: what is going on, is it healthy, and how much of it."""
