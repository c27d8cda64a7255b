"""Bytes come in: a guarded DICOM listener and a durable inbox.

::

    listener      accepts connections, one thread each, inside the caps of `slots`
    association   the life of one connection: negotiate, messages, release
    negotiation   what an association request is answered with (pure)
    pdu, wire     protocol data units, read within limits of length and time
    dimse         command sets, decoded and encoded (pure)
    services      what a message is answered with: C-ECHO, C-STORE, anything else
    status        every status, rejection and abort that we send, with its clause
    inbox         an instance becomes a durable file and a row, and only then a success
    reconcile     what a crash left behind, put in order at start
"""
