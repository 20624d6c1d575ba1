"""Which requests a page may have made a browser send: one of another site, or one whose name means
this machine.

A page may send simple requests anywhere, and may let its own name stand for 127.0.0.1 once it is
loaded (DNS rebinding): its requests then reach a service that listens on this machine alone. They
name the page's site in `Host` and `Origin`.
"""

from functools import lru_cache
from ipaddress import ip_address

from headrace.serve.http.messages import Problem, Request

_SIMPLE = (b"text/plain", b"multipart/form-data", b"application/x-www-form-urlencoded")
_OF_BROWSERS = frozenset((b"origin", b"referer", b"sec-fetch-site", b"sec-fetch-mode"))
"""What browsers say of a request, and no page can take away; `curl -d` calls JSON a form."""


class HostGuard:
    """The names by which a service may be asked: addresses, this machine's own names, and those
    that are stated.

    Without a name in `hosts`, and with `any_name`, every name is taken: whoever opened the service
    to a network has it behind names of his own.
    """

    def __init__(self, hosts: list[str], any_name: bool) -> None:
        known = frozenset(host.lower().rstrip(".") for host in hosts)

        def allows(host: bytes) -> bool:
            name = name_of(host.decode("latin-1"))
            return (any_name and not known) or _is_local(name) or name in known

        self._allows = lru_cache(256)(allows)

    def check(self, request: Request) -> None:
        """Raises `Problem` where a page of another site may have sent the request."""
        host = request.headers.get(b"host", b"")
        if not self._allows(host):
            do = "serve.hosts in the spec, or --allow-host, states further names"
            found = f"{host[:100].decode('latin-1')!r}; {do}"
            raise Problem(403, "cross_site", "The service is not asked by this name", found)
        if request.method != "POST":
            return
        origin = request.headers.get(b"origin")
        if origin is not None and origin.partition(b"://")[2] != host:
            found = origin[:100].decode("latin-1")
            raise Problem(403, "cross_site", "Requests of other sites are not taken", found)
        kind = request.headers.get(b"content-type")
        if kind is not None and _is_simple(kind) and not _OF_BROWSERS.isdisjoint(request.headers):
            found = f"{kind[:60].decode('latin-1')}; send application/json"
            raise Problem(415, "content_type", "This kind of body is not read", found)


@lru_cache(256)
def _is_simple(kind: bytes) -> bool:
    """Whether a page may send such a body anywhere without asking."""
    return kind.partition(b";")[0].strip().lower() in _SIMPLE


def name_of(host: str) -> str:
    """A host without its port.

    >>> name_of("localhost:8080"), name_of("[::1]:8080"), name_of("Example.ORG.")
    ('localhost', '::1', 'example.org')
    """
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower().rstrip(".")


def _is_local(name: str) -> bool:
    """Whether a name cannot be another site's: an address, or `localhost`."""
    if name in ("", "localhost") or name.endswith(".localhost"):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether who listens on a host is reached from this machine alone.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0"), is_loopback("localhost")
    (True, True, False, True)
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
