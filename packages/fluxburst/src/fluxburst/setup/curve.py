"""Whether a lead lets a certificate in, tried as a broker tries it, and nothing more: no broker joins by this.

It is the handshake of CurveZMQ (rfc.zeromq.org/spec/26) by libzmq itself, the library that every Flux is linked to.
"""

from __future__ import annotations

import ctypes
import struct
from typing import Any, Literal

Answer = Literal["welcome", "turned away", "refused", "silent", "untried"]

_DEALER, _PAIR = 5, 0  # zmq_socket(3)
_LINGER, _RCVTIMEO, _IPV6 = 17, 27, 42  # zmq_setsockopt(3)
_CURVE_PUBLICKEY, _CURVE_SECRETKEY, _CURVE_SERVERKEY = 48, 49, 50
# zmq_socket_monitor(3): what ends the trial, and a connection that is tried again
_SUCCEEDED, _RETRIED, _DISCONNECTED = 0x1000, 0x0004, 0x0200
_FAILED = 0x0800 | 0x2000 | 0x4000
_EVENTS = 0xFFFF


def shake(uri: str, public: str, secret: str, patience: float = 5.0) -> Answer:
    """Connect to a lead with a certificate's keys; `untried` where libzmq is not to be had. patience: seconds."""
    try:
        zmq = ctypes.CDLL("libzmq.so.5")
    except OSError:
        return "untried"
    zmq.zmq_ctx_new.restype = zmq.zmq_socket.restype = ctypes.c_void_p
    zmq.zmq_setsockopt.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t)
    zmq.zmq_recv.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    context = ctypes.c_void_p(zmq.zmq_ctx_new())
    dealer, monitor = (ctypes.c_void_p(zmq.zmq_socket(context, kind)) for kind in (_DEALER, _PAIR))
    try:
        options: list[tuple[ctypes.c_void_p, int, bytes]] = [
            (dealer, _LINGER, struct.pack("i", 0)),
            (monitor, _LINGER, struct.pack("i", 0)),
            (monitor, _RCVTIMEO, struct.pack("i", int(patience * 1000))),
            # All brokers have one certificate: the server's key is the client's own.
            (dealer, _CURVE_SERVERKEY, public.encode() + b"\0"),
            (dealer, _CURVE_PUBLICKEY, public.encode() + b"\0"),
            (dealer, _CURVE_SECRETKEY, secret.encode() + b"\0"),
        ]
        if "[" in uri:
            options.append((dealer, _IPV6, struct.pack("i", 1)))
        if any(zmq.zmq_setsockopt(socket, option, value, len(value)) for socket, option, value in options):
            return "untried"
        if zmq.zmq_socket_monitor(dealer, b"inproc://monitor", _EVENTS) or zmq.zmq_connect(
            monitor, b"inproc://monitor"
        ):
            return "untried"
        return _watch(zmq, monitor) if zmq.zmq_connect(dealer, uri.encode()) == 0 else "refused"
    finally:
        for socket in (dealer, monitor):
            zmq.zmq_close(socket)
        zmq.zmq_ctx_term(context)


def _watch(zmq: Any, monitor: ctypes.c_void_p) -> Answer:
    buffer = ctypes.create_string_buffer(1024)
    connected = False
    while True:
        if zmq.zmq_recv(monitor, buffer, 1024, 0) < 6:
            return "silent"
        (event,) = struct.unpack_from("<H", buffer.raw)
        zmq.zmq_recv(monitor, buffer, 1024, 0)  # the second part of each event: its endpoint
        connected = connected or event == 0x0001
        if event == _SUCCEEDED:
            return "welcome"
        if event & _FAILED or event == _DISCONNECTED:
            return "turned away"
        if event == _RETRIED:
            return "turned away" if connected else "refused"
