"""Where the TCP payload of a capture went. The sums balance at the end of the capture.

payload_bytes = decoded_bytes + skipped_bytes + duplicate_bytes + late_bytes
packets = decoded_packets + skipped_packets
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TcpAccounting"]


@dataclass(slots=True)
class TcpAccounting:
    """Counts over all TCP packets of a capture.

    Attributes:
        packets: TCP packets. decoded_packets, skipped_packets: those of connections that were wanted, and of others.
        payload_bytes: captured payload of all packets.
        decoded_bytes: fed to a consumer. skipped_bytes: of connections that nobody wants.
        duplicate_bytes: for a place that was passed before: retransmissions, keep-alive probes, packets captured twice,
            copies of what had been given up.
        late_bytes: came after their connection was closed, or after the FIN of their stream.
        missing_bytes: of wanted connections, known to be on the wire and not in the capture; not part of the sums.
        connections: TCP connections of all kinds.
    """

    packets: int = 0
    decoded_packets: int = 0
    skipped_packets: int = 0
    payload_bytes: int = 0
    decoded_bytes: int = 0
    skipped_bytes: int = 0
    duplicate_bytes: int = 0
    late_bytes: int = 0
    missing_bytes: int = 0
    connections: int = 0
