"""What a peer can say, as bytes."""

import select
import socket
import struct

from pynetdicom.pdu import A_ASSOCIATE_AC
from pynetdicom.pdu_primitives import A_ASSOCIATE, ImplementationClassUIDNotification, MaximumLengthNotification
from pynetdicom.presentation import build_context

RELEASE_RQ = bytes([5, 0, 0, 0, 0, 4, 0, 0, 0, 0])
RELEASE_RP = bytes([6, 0, 0, 0, 0, 4, 0, 0, 0, 0])
C_STORE_RSP, C_ECHO_RSP = 0x8001, 0x8030


def accepted(*, max_pdu_bytes: int = 16384, result: int = 0) -> bytes:
    """Return an A-ASSOCIATE-AC that accepts (or rejects, by `result`) the contexts 1 to 11, the first six."""
    answer = A_ASSOCIATE()
    answer.application_context_name = "1.2.840.10008.3.1.1.1"
    answer.calling_ae_title, answer.called_ae_title = "STACT_PACS", "SCRIPTED"
    answer.result, answer.result_source = 0, 1
    contexts = []
    for number in range(1, 12, 2):
        contexts.append(build_context("1.2.840.10008.1.1", "1.2.840.10008.1.2.1"))
        contexts[-1].context_id, contexts[-1].result = number, result
    answer.presentation_context_definition_results_list = contexts
    longest, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    longest.maximum_length_received, implementation.implementation_class_uid = max_pdu_bytes, "1.2.3"
    answer.user_information = [longest, implementation]
    pdu = A_ASSOCIATE_AC()
    pdu.from_primitive(answer)
    return bytes(pdu.encode())


def response(*, command_field: int = C_STORE_RSP, message_id: int = 1, status: int = 0, context_id: int = 1) -> bytes:
    """Return a P-DATA-TF with a response."""
    numbers = {0x0100: command_field, 0x0120: message_id, 0x0800: 0x0101, 0x0900: status}
    body = b"".join(struct.pack("<HHIH", 0, element, 2, value) for element, value in numbers.items())
    return p_data(struct.pack("<HHII", 0, 0, 4, len(body)) + body, context_id=context_id)


def p_data(command_set: bytes, *, context_id: int = 1) -> bytes:
    """Return a P-DATA-TF whose only fragment is a whole command set."""
    value = struct.pack(">IBB", len(command_set) + 2, context_id, 3) + command_set
    return struct.pack(">BxI", 4, len(value)) + value


def read_until_quiet(connection: socket.socket) -> None:
    """Take in a message that may come in several parts."""
    while connection.recv(1 << 20) and select.select([connection], [], [], 0.05)[0]:
        pass
