"""The only room with a database in it: every state move and its event are one transaction."""
