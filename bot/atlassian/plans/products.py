"""The products behind the ids of workspaces, in words."""


def product(resource: str) -> str:
    """The product of a workspace's id, for people: ``ari:cloud:confluence::site/…`` is confluence."""
    parts = resource.split(":")
    return parts[2] if len(parts) > 2 and parts[2] else resource
