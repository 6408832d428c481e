"""How the stand-ins and their levers keep connections: none is used again when its server may be just closing it."""

import httpx

# The servers here close what was idle for five seconds; httpx would use it for as long.
KEPT = httpx.Limits(max_connections=None, keepalive_expiry=2)
