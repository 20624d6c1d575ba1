"""Refusal of requests that a page of another site may have made a browser send.

A page may send simple requests anywhere. It may also let its own name stand for 127.0.0.1 once it
is loaded (DNS rebinding): its requests then reach a service that listens on this machine alone.
Both kinds of request name the page's site, in `Origin` and in `Host`:

    page of evil.example ── form to 127.0.0.1 ───────> Origin: http://evil.example    refused
    page of evil.example ── evil.example = 127.0.0.1 ─> Host: evil.example             refused
    curl, a client library ──────────────────────────> Host: 127.0.0.1, no Origin     answered
"""

from functools import lru_cache
from ipaddress import ip_address

from headrace.serve.http.messages import Problem, Request

_SIMPLE_TYPES = (b"text/plain", b"multipart/form-data", b"application/x-www-form-urlencoded")
_BROWSER_HEADERS = frozenset((b"origin", b"referer", b"sec-fetch-site", b"sec-fetch-mode"))
"""Headers that browsers add and no page can take away; `curl -d` calls JSON a form too."""


class HostGuard:
    """The names by which a service may be asked.

    They are addresses, this machine's own names, and the `hosts` of the settings. With `any_name`
    and without `hosts` every name is accepted: an operator who opens the service to a network has
    it behind names of the network's own.
    """

    def __init__(self, hosts: list[str], any_name: bool) -> None:
        known = frozenset(host.lower().rstrip(".") for host in hosts)

        def allows(host: bytes) -> bool:
            name = parse_host(host.decode("latin-1"))
            return (any_name and not known) or _is_local(name) or name in known

        # Every request asks, and nearly all ask for the same few hosts.
        self._allows = lru_cache(256)(allows)

    def check(self, request: Request) -> None:
        """Raise `Problem` if a page of another site may have sent the request."""
        host = request.headers.get(b"host", b"")
        if not self._allows(host):
            do = "serve.hosts in the spec, or --allow-host, adds host names"
            detail = f"{host[:100].decode('latin-1')!r}; {do}"
            raise Problem(403, "cross_site", "This host name is not allowed", detail)
        if request.method != "POST":
            return

        origin = request.headers.get(b"origin")
        if origin is not None and origin.partition(b"://")[2] != host:
            detail = origin[:100].decode("latin-1")
            raise Problem(403, "cross_site", "Requests from other sites are refused", detail)

        # Browsers send a body of a simple type to any site without asking that site first.
        kind = request.headers.get(b"content-type")
        if kind is None or not _is_simple(kind):
            return
        if not _BROWSER_HEADERS.isdisjoint(request.headers):
            detail = f"{kind[:60].decode('latin-1')}; send application/json"
            raise Problem(415, "content_type", "This content type is not supported", detail)


@lru_cache(256)
def _is_simple(kind: bytes) -> bool:
    """Say whether a page may send a body of this type anywhere without asking."""
    return kind.partition(b";")[0].strip().lower() in _SIMPLE_TYPES


def parse_host(host: str) -> str:
    """Return the name in a `Host` header: without its port, in small letters.

    >>> parse_host("localhost:8080"), parse_host("[::1]:8080"), parse_host("Example.ORG.")
    ('localhost', '::1', 'example.org')
    """
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower().rstrip(".")


def _is_local(name: str) -> bool:
    """Say whether a name cannot be another site's: it is an address, or `localhost`."""
    if name in ("", "localhost") or name.endswith(".localhost"):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Say whether a service that listens on a host can be reached from this machine alone.

    >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0"), is_loopback("localhost")
    (True, False, True)
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
