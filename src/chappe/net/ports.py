"""Ports of services that are no web server: nobody's webhook goes there unless the operator says so.

A webhook is a POST whose path and host a stranger chose. Old services read it as commands of theirs, line by line.
"""

from __future__ import annotations

from typing import Final

# What browsers refuse as well: WHATWG Fetch, 2.9 "Port blocking".
_OF_BROWSERS: Final = frozenset(
    (1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110,
     111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532,
     540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061,
     6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080)
)  # fmt: skip
# SMPP, SMB, printers, databases, caches, queues, container engines: none is called back by anybody.
_OF_SERVERS: Final = frozenset(
    (445, 631, 873, 1433, 1521, 2375, 2376, 2379, 2380, 2775, 2776, 3306, 3389, 3550, 4369, 5432, 5672, 5900, 6379,
     6443, 9042, 9092, 9100, 9200, 9300, 10250, 11211, 25672, 27017)
)  # fmt: skip
REFUSED: Final = _OF_BROWSERS | _OF_SERVERS
