"""Keys that sinks which send to receivers share: TLS, passwords, delivery, the spool."""

from __future__ import annotations

import pickle
import ssl
from pathlib import Path

import pytest
from pydantic import ValidationError

from ryu_droplog.model.errors import ConfigError
from ryu_droplog.sinks.forwarding_options import DeliveryOptions, ForwardingOptions
from ryu_droplog.sinks.secrets import PasswordOptions, Secret, read_secret
from ryu_droplog.sinks.tls import TlsOptions, client_context

WORD = "correct horse"


def test_secret_is_in_nothing_that_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "password"
    path.write_text(f"{WORD}\n")
    monkeypatch.setenv("WORD_OF_TEST", WORD)
    by_file = PasswordOptions(password_file=str(path))
    by_variable = PasswordOptions(password_env="WORD_OF_TEST")
    for options in (by_file, by_variable):
        secret = options.password()
        assert secret is not None
        assert WORD == secret.reveal()
        assert WORD not in f"{secret!r} {secret} {options!r} {options.model_dump()} {[secret]}"
        with pytest.raises(TypeError):
            pickle.dumps(secret)
    assert PasswordOptions().password() is None


def test_secret_that_is_not_there_is_named_by_its_place(tmp_path: Path) -> None:
    path = tmp_path / "password"
    with pytest.raises(ConfigError, match=f"password_file: {path} cannot be read: No such file"):
        read_secret("password", str(path), None)
    path.write_bytes(b"\n")
    with pytest.raises(ConfigError, match=f"password_file: {path} is empty"):
        read_secret("password", str(path), None)
    path.write_bytes(b"\xff" + WORD.encode())
    with pytest.raises(ConfigError, match="UTF-8") as caught:
        read_secret("password", str(path), None)
    assert WORD not in str(caught.value)
    with pytest.raises(ConfigError, match="password_env: the environment variable NOT_SET_HERE"):
        read_secret("password", None, "NOT_SET_HERE")


def test_two_passwords_are_one_too_many() -> None:
    with pytest.raises(ValidationError, match="either password_file or password_env"):
        PasswordOptions(password_file="/p", password_env="P")


def test_certificate_is_verified_unless_the_user_says_otherwise() -> None:
    for options in (None, TlsOptions(), TlsOptions(verify=True)):
        context = client_context(options)
        assert (ssl.CERT_REQUIRED, True) == (context.verify_mode, context.check_hostname)
    context = client_context(TlsOptions(verify=False))
    assert (ssl.CERT_NONE, False) == (context.verify_mode, context.check_hostname)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("verify", ["false", 0, None])
def test_verify_is_switched_off_by_no_other_word(verify: object) -> None:
    with pytest.raises(ValidationError):
        TlsOptions.model_validate({"verify": verify})


def test_file_of_tls_that_is_of_no_use_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    with pytest.raises(ConfigError, match=f"tls.ca: {path}: No such file"):
        client_context(TlsOptions(ca=str(path)))
    path.write_text("no certificate")
    with pytest.raises(ConfigError, match=f"tls.ca: {path}: no usable certificate"):
        client_context(TlsOptions(ca=str(path)))
    with pytest.raises(ConfigError, match=f"tls.certificate: {path}"):
        client_context(TlsOptions(certificate=str(path)))
    with pytest.raises(ValidationError, match="certificate beside key"):
        TlsOptions(key=str(path))


def test_spool_is_for_at_least_once_and_delivery_for_those_that_acknowledge() -> None:
    spool = {"directory": "/var/lib/s", "bytes": "1G", "age": "7d"}
    options = DeliveryOptions.model_validate({"delivery": "at_least_once", "spool": spool})
    assert options.spool is not None
    assert (10**9, 604_800.0) == (options.spool.bytes, options.spool.age)
    assert options.spool_file("soc") == "/var/lib/s/soc.sqlite"
    with pytest.raises(ValidationError, match="delivery: at_least_once beside spool"):
        DeliveryOptions.model_validate({"spool": spool})
    with pytest.raises(ValidationError, match=r"delivery\n.*Extra inputs"):
        ForwardingOptions.model_validate({"delivery": "at_least_once"})


def test_encoding_is_one_that_is_registered() -> None:
    assert "ecs" == ForwardingOptions().encode
    with pytest.raises(ValidationError, match="one of native, ecs, ocsf, hubble"):
        ForwardingOptions(encode="xml")


def test_secret_compares_as_itself() -> None:
    assert Secret("a") != Secret("a"), "whoever compares secrets reveals them first"
