"""The address a request comes from, by which sign-in codes are counted."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from healthplus.setting_checks import networks

_NETWORK_BITS = 64
"""The part of an IPv6 address that names a household's network, in which it may choose any address."""
_WIDER_BITS = {4: 24, 6: 48}
"""The part of an address that names the network of a larger customer, who may choose any network in it."""


class TrustedProxies:
    """The proxies whose X-Forwarded-For is believed; anybody else may write anything in it."""

    def __init__(self, text: str) -> None:
        """Take addresses and networks, as the setting has them."""
        self._networks = networks(text)

    def client(self, peer: str, forwarded_for: list[str]) -> str:
        """Return the address of the nearest hop that is no proxy of ours; its network where that is IPv6."""
        forwarded = ",".join(forwarded_for).split(",")
        nearest = _parse(peer)
        while nearest is not None and forwarded and self._trusts(nearest):
            before = _parse(forwarded.pop())
            if before is None:
                break  # not what a proxy writes
            nearest = before
        if isinstance(nearest, IPv6Address):
            return str(IPv6Network((nearest, _NETWORK_BITS), strict=False))
        return str(nearest)

    def _trusts(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._networks)


def wider_network(address: str) -> str:
    """Return the wider network of what `TrustedProxies.client` returned."""
    try:
        network = ip_network(address)
    except ValueError:
        return address
    return str(network.supernet(new_prefix=_WIDER_BITS[network.version]))


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
