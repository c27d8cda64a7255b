"""DICOM goes back: the C-STORE sender, the outbox that owes nothing silently, and a small PACS for the demo."""
