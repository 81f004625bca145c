"""Which addresses are of the public network: where others say where we are to connect to, no other will do."""

from __future__ import annotations

import ipaddress

# Addresses that stand for others, of IPv4: nobody's public server needs one.
_STAND_INS = [ipaddress.ip_network(net) for net in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")]


def is_public(address: str) -> bool:
    """Return whether an IP address is one of the public network. Raises ValueError for what is no address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if any(ip in network for network in _STAND_INS):
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved
