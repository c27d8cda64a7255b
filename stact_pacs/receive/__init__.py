"""Bytes come in: a guarded DICOM listener and a durable inbox.

::

    listener      accepts connections, one thread each, inside the caps of `slots`
    access        who may have an association (pure); `refusals` keeps on record who may not
    association   the life of one connection: negotiate, exchange, release
    negotiation   what an association request is answered with (pure)
    exchange      fragments become messages, messages become responses (no socket)
    services      what a message is answered with: C-ECHO, C-STORE, storage commitment, anything else
    commitment    a request for storage commitment is on record before it is answered; `commitment_request` reads it
    commitment_check  compares what is to be committed with the bytes on disk
    dimse         command sets, decoded and encoded (pure)
    pdu, wire     protocol data units, read within limits of length and time; `tls_wire` through TLS
    status        every status, rejection and abort that we send, with its clause
    endings       how an association ends other than by release
    inbox         an instance becomes a durable file and a row, and only then a success
    folders       where the files lie; part10: the head that we give them
    reconcile     what a crash left behind, put in order at start
    ports         what is asked of the store
"""
