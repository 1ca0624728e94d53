"""A DNS server of one answer: every A question gets the same address (RFC 1035, section 4)."""

import socket
import struct
import threading

TYPE_A = 1


class NameServer:
    """Answers on UDP port 53 of `address`, in the namespace of the thread that makes it."""

    def __init__(self, address, answer):
        self.answer = socket.inet_aton(answer)
        self.asked = set()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 53))
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                question, peer = self.socket.recvfrom(512)
            except OSError:
                return
            if len(question) > 16:
                self.socket.sendto(self.reply(question), peer)

    def reply(self, question):
        identifier, flags = struct.unpack_from("!HH", question)
        end, labels = 12, []
        while question[end]:
            labels.append(question[end + 1:end + 1 + question[end]].decode())
            end += 1 + question[end]
        self.asked.add(".".join(labels))
        kind, = struct.unpack_from("!H", question, end + 1)
        answers = 1 if kind == TYPE_A else 0
        # Response, recursion desired and available, no error; only the question comes back.
        head = struct.pack("!HHHHHH", identifier, 0x8180 | flags & 0x0100, 1, answers, 0, 0)
        record = struct.pack("!HHHIH", 0xC00C, TYPE_A, 1, 1, 4) + self.answer
        return head + question[12:end + 5] + record * answers

    def close(self):
        self.socket.close()
