"""Every setting, typed, with its unit and default; read once, checked whole.

Only `cli` loads them; a stage is given its own section. A setting can be overridden by environment:
``STACT_PACS__RECEIVE__PORT=11112``.
"""
