"""Addresses as they are written: where to listen."""


def listening_at(host: str, port: int) -> str:
    """Host and port as one word; of IPv6 nobody could tell them apart without the brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
