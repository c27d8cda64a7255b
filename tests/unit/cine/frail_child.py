"""A decoding process of which three decoders fail at their known answers: by a signal, an error, and without end."""

import os
import signal
import sys
import time

from stact_pacs.cine.decode_child import main
from stact_pacs.cine.known_answers import known_answer_fault

DEADLY, BROKEN, ENDLESS = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.202"


def prove(transfer_syntax_uid: str) -> str:
    if transfer_syntax_uid == DEADLY:
        os.kill(os.getpid(), signal.SIGSEGV)
    if transfer_syntax_uid == BROKEN:
        raise ImportError
    if transfer_syntax_uid == ENDLESS:
        time.sleep(600)
    return known_answer_fault(transfer_syntax_uid)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]), prove=prove)
