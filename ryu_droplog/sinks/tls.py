"""TLS of the sinks that connect somewhere: the key `tls`, and what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, Field, model_validator

from ryu_droplog.model.errors import ConfigError, why
from ryu_droplog.schema.convert import STRICT
from ryu_droplog.schema.fields import Directory

if TYPE_CHECKING:
    from ssl import SSLContext


class TlsOptions(BaseModel):
    """Whom to trust, and who we are."""

    model_config = STRICT

    ca: Directory | None = Field(
        default=None,
        description="a file of certificates (PEM) that the receiver's must come from; null: the"
        " system's own",
    )
    certificate: Directory | None = Field(
        default=None, description="a file with our own certificate (PEM); null: none is shown"
    )
    key: Directory | None = Field(
        default=None,
        description="a file with its private key (PEM, without a passphrase); null: the key is in"
        " the file of the certificate",
    )
    verify: bool = Field(
        default=True,
        description="`false`: the receiver's certificate and name are not verified, and anyone can"
        " pretend to be it",
    )

    @model_validator(mode="after")
    def _key_has_a_certificate(self) -> TlsOptions:
        if self.key is not None and self.certificate is None:
            raise ValueError("certificate beside key")
        return self


def client_context(options: TlsOptions | None) -> SSLContext:
    """The context of a client, TLS 1.2 at least.

    Raises ConfigError, which names the file that cannot be read. To be used with `wrap_bio`, whose
    objects wait for nothing: the sockets that `wrap_socket` makes are green ones under eventlet.
    """
    import ssl

    options = options or TlsOptions()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not options.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif options.ca is None:
        context.load_default_certs()
    if options.ca is not None:
        try:
            context.load_verify_locations(options.ca)
        except OSError as error:
            raise ConfigError(f"tls.ca: {options.ca}: {_reason(error)}") from error
    if options.certificate is not None:
        key = options.key or options.certificate
        try:
            context.load_cert_chain(options.certificate, options.key, password=_no_passphrase)
        except (OSError, ValueError) as error:
            names = f"tls.certificate: {options.certificate}, tls.key: {key}"
            raise ConfigError(f"{names}: {_reason(error)}") from error
    return context


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase; expected a key without")


def _reason(error: Exception) -> str:
    import ssl

    if isinstance(error, ssl.SSLError):
        reason = error.reason or str(error)
        return f"no usable certificate or key ({reason.lower().replace('_', ' ')})"
    return why(error) if isinstance(error, OSError) else str(error)
