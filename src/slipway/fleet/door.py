"""The front door of an environment, as a client of this machine comes to it."""

import ssl

import httpx


def client(url: str, seconds: float) -> httpx.Client:
    """A client of one front door, which goes by no proxy.

    It trusts whom this machine trusts (`SSL_CERT_FILE` names others): a certificate may be of a company's own.
    """
    trust = ssl.create_default_context() if url.startswith("https:") else False
    return httpx.Client(base_url=url, timeout=seconds, trust_env=False, verify=trust)
