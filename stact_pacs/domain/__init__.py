"""The frozen values that the stages hand on, in the order in which they come to be.

    identity      what carries a name for ever: UIDs, and the key of a job
    instances     what is received
    series        a series until it is complete, and the cines that it then is
    jobs          the scoring of one cine
    findings      what is seen in a cine: frames, nodules, their outlines and scores
    results       what a case comes to, and the objects that tell of it
    deliveries    what is owed to a destination
    workitems     work that a workitem server gave us (PS3.4 Annex CC)
    commitments   storage commitment (PS3.4 Annex J)
    problems      what is wrong with an installation
    records       what is on record of a case, for people and reports

Conventions: frame *indices* count from 0, frame *numbers* (DICOM's) from 1; pixel boxes are half open;
image coordinates are (x, y) with the centre of the first pixel at (0.5, 0.5) (PS3.3 C.18.6.1.2); every time
is an aware UTC `datetime`; names that end in `_mm`, `_ms`, `_s` carry that unit.
"""
