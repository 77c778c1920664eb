"""The Kubernetes API, as far as it is needed: the official client behind one kind of error.

Answers are read raw, with a bound, and decoded here: the client's models differ between its
releases, and refuse whole lists for one odd object.
"""

from __future__ import annotations

import email.utils
import http.client
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ryu_droplog.k8s_events.tokenfile import TokenFile, token_file
from ryu_droplog.model.errors import DropLogError
from ryu_droplog.text.printable import printable

if TYPE_CHECKING:
    from ryu_droplog.k8s_events.limit import Limit

CONNECT_TIMEOUT = 5.0
"""Seconds for a connection to come about."""
READ_TIMEOUT = 15.0
"""Seconds for a request and its whole answer; of a watch, for what comes before its first line."""
WATCH_SILENCE = 90.0
"""Seconds without a whole line after which a watch is begun anew; bookmarks come once a minute."""
MAX_ANSWER = 64 << 20
"""Bytes that an answer may have."""
MAX_LINE = 8 << 20
"""Bytes that a line of a watch may have; etcd takes no object above 1.5 MiB."""
PAGE = 500
"""Pods that are asked for at a time."""
SERVICE_ACCOUNT_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"
"""Where a pod finds the token of its service account (kubernetes.io, service account admission)."""
MAX_RETRY_AFTER = 600.0
"""Seconds that a Retry-After is obeyed at most."""

_LATE = "the API server did not answer in time"
MISSING = "the client for Kubernetes is not installed: pip install ryu-droplog[kubernetes]"


class CredentialsError(DropLogError):
    """There is no way to the API server: no client, or no credentials."""


class ApiError(DropLogError):
    """The API server refused a request, answered with garbage, or did not answer."""

    def __init__(
        self,
        text: str,
        status: int = 0,
        retry_after: float | None = None,
        terminating: bool = False,
    ) -> None:
        """`status` is HTTP's, 0 without an answer; `retry_after` is in seconds."""
        super().__init__(text)
        self.status = status
        self.retry_after = retry_after
        self.terminating = terminating
        """True when a namespace is being deleted, and so takes nothing new."""


class AnswerTimeout(ApiError):
    """A watch was silent for WATCH_SILENCE."""


class Api:
    """Requests, each with a time limit. May be used from several threads."""

    def __init__(
        self,
        configuration: Any,
        read_timeout: float = READ_TIMEOUT,
        watch_silence: float = WATCH_SILENCE,
        token: TokenFile | None = None,
    ) -> None:
        """`configuration` is a kubernetes.client.Configuration; the others are in seconds.

        `token` is where its token is read again, if it is in a file.
        """
        import kubernetes.client

        from ryu_droplog.k8s_events.limit import POOLS, Limit

        self._limit = Limit
        self._token = token
        if token is not None:
            configuration.refresh_api_key_hook = token
        # No tries of the client's own: they would wait for Retry-After where nobody can stop them.
        configuration.retries = False
        client = kubernetes.client.ApiClient(configuration)
        client.rest_client.pool_manager.pool_classes_by_scheme = POOLS
        self._core = kubernetes.client.CoreV1Api(client)
        self.host = str(configuration.host)
        self._read_timeout = read_timeout
        self._watch_silence = watch_silence

    def list_pods(self, node: str, token: str | None) -> bytes:
        """A page of the pods of the node, as JSON; `token` is the last page's `continue`."""
        more: dict[str, Any] = {"_continue": token} if token else {}
        with self._ask(
            self._core.list_pod_for_all_namespaces,
            field_selector=f"spec.nodeName={node}",
            limit=PAGE,
            **more,
        ) as answer:
            return answer.read()

    def watch_pods(self, node: str, version: str, seconds: int) -> Iterator[bytes]:
        """What happens to the pods of the node after `version`, a line of JSON each.

        Ends after so many seconds; raises ApiError when it ends otherwise.
        """
        with self._ask(
            self._core.list_pod_for_all_namespaces,
            silence=self._watch_silence,
            field_selector=f"spec.nodeName={node}",
            resource_version=version,
            timeout_seconds=seconds,
            allow_watch_bookmarks=True,
            watch=True,
        ) as answer:
            yield from answer.lines(self._watch_silence)

    def create_event(self, namespace: str, body: Mapping[str, Any]) -> None:
        """Make an event (core/v1)."""
        with self._ask(self._core.create_namespaced_event, namespace, dict(body)) as answer:
            answer.drain()

    def patch_event(self, namespace: str, name: str, body: Mapping[str, Any]) -> None:
        """Change fields of an event."""
        with self._ask(self._core.patch_namespaced_event, name, namespace, dict(body)) as answer:
            answer.drain()

    def read_event(self, namespace: str, name: str) -> bytes:
        """An event, as JSON."""
        with self._ask(self._core.read_namespaced_event, name, namespace) as answer:
            return answer.read()

    def _ask(
        self,
        method: Callable[..., Any],
        *arguments: Any,
        silence: float | None = None,
        **options: Any,
    ) -> _Answer:
        timeout = (CONNECT_TIMEOUT, silence or self._read_timeout)
        limit = self._limit(self._read_timeout)
        try:
            with _one_kind_of_error(limit), limit.of_this_thread():
                response = method(
                    *arguments, _preload_content=False, _request_timeout=timeout, **options
                )
        except BaseException as error:
            limit.end()
            if self._token is not None and getattr(error, "status", 0) == HTTPStatus.UNAUTHORIZED:
                self._token.expire()
            raise
        return _Answer(response, limit)


class _Answer:
    """An answer that is still to be read."""

    def __init__(self, response: Any, limit: Limit) -> None:
        self._response = response
        self._limit = limit

    def __enter__(self) -> _Answer:
        return self

    def __exit__(self, *_: object) -> None:
        self._limit.end()
        self._response.close()
        self._response.release_conn()

    def read(self) -> bytes:
        """All of it; raises ApiError."""
        parts, size = [], 0
        for part in self._parts():
            parts.append(part)
            size += len(part)
            if size > MAX_ANSWER:
                raise ApiError(f"the answer has more than {MAX_ANSWER} bytes")
        return b"".join(parts)

    def drain(self) -> None:
        """Whatever it says: what counts has been said by its status."""
        try:
            self.read()
        except ApiError:
            return

    def lines(self, silence: float) -> Iterator[bytes]:
        """Its whole lines, without their ends, each within `silence` seconds; raises ApiError."""
        rest = bytearray()
        self._limit.extend(silence)
        for part in self._parts():
            seen = len(rest)
            rest += part
            while (end := rest.find(b"\n", seen)) >= 0:
                self._limit.extend(silence)
                yield bytes(rest[:end])
                del rest[: end + 1]
                seen = 0
            if len(rest) > MAX_LINE:
                raise ApiError(f"a line of a watch has more than {MAX_LINE} bytes")
        if rest:
            raise ApiError("the watch ended within a line")

    def _parts(self) -> Iterator[bytes]:
        with _one_kind_of_error(self._limit):
            parts: Iterator[bytes] = iter(self._response.stream(65536, decode_content=True))
        while True:
            with _one_kind_of_error(self._limit):
                part = next(parts, None)
            if part is None:
                return
            yield part


@contextmanager
def _one_kind_of_error(limit: Limit) -> Iterator[None]:
    """Turn all that the client and urllib3 raise into ApiError.

    What comes of a connection that was shut down may look like anything, even like a good end.
    """
    import urllib3.exceptions
    from kubernetes.client.exceptions import ApiException

    try:
        yield
        if limit.passed:
            raise AnswerTimeout(_LATE)
    except ApiException as error:
        if limit.passed:
            raise AnswerTimeout(_LATE) from error
        raise _refusal(error) from error
    except urllib3.exceptions.ReadTimeoutError as error:
        raise AnswerTimeout(_LATE) from error
    except (
        urllib3.exceptions.HTTPError,
        http.client.HTTPException,
        OSError,
        ValueError,
    ) as error:
        if limit.passed:
            raise AnswerTimeout(_LATE) from error
        raise ApiError(_one_line(error)) from error


def _refusal(error: Any) -> ApiError:
    status = error.status if isinstance(error.status, int) else 0
    body = error.body if isinstance(error.body, (str, bytes)) else ""
    said, causes = "", []
    try:
        status_body = msgspec.json.decode(body, type=_Status)
        said = status_body.message or ""
        causes = [
            cause.reason for cause in (status_body.details and status_body.details.causes) or ()
        ]
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    text = f"{status} {error.reason}: {said}" if said else f"{status} {error.reason}"
    headers = error.headers or {}
    return ApiError(
        _one_line(text),
        status,
        retry_after(headers.get("Retry-After")),
        status == 403 and ("NamespaceTerminating" in causes or "being terminated" in said),
    )


class _Cause(msgspec.Struct):
    reason: str | None = None


class _Details(msgspec.Struct):
    causes: list[_Cause] | None = None


class _Status(msgspec.Struct):
    """Status of meta/v1, which comes with every refusal."""

    message: str | None = None
    details: _Details | None = None


def retry_after(text: str | None, now: Callable[[], float] = time.time) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110 section 10.2.3), 0 to 600.

    None where there is none, or it cannot be understood.
    """
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MAX_RETRY_AFTER)
    try:
        date = email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(max(0.0, date - now()), MAX_RETRY_AFTER)


def connect(kubeconfig: str | None, environ: Mapping[str, str] = os.environ) -> Api:
    """The API server that `kubeconfig` names; without it, the cluster that this process runs in.

    Outside of a cluster, KUBECONFIG or ~/.kube/config name it. Nothing is asked of it yet. Raises
    CredentialsError.
    """
    try:
        import kubernetes.client
        import kubernetes.config
    except ImportError:
        raise CredentialsError(MISSING) from None
    configuration = kubernetes.client.Configuration()
    try:
        if kubeconfig is None and "KUBERNETES_SERVICE_HOST" in environ:
            kubernetes.config.load_incluster_config(client_configuration=configuration)
            return Api(configuration, token=TokenFile(Path(SERVICE_ACCOUNT_TOKEN)))
        path = kubeconfig or environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())
        kubernetes.config.load_kube_config(
            path, client_configuration=configuration, persist_config=False
        )
        token_path = token_file(path)
        return Api(configuration, token=TokenFile(token_path) if token_path is not None else None)
    except Exception as error:  # the loaders raise whatever an odd file leads them to
        expected = "expected a kubeconfig (--kubeconfig, KUBECONFIG or ~/.kube/config)"
        if kubeconfig is None:
            expected += ", or a service account of the cluster that this process runs in"
        raise CredentialsError(
            f"no credentials for the Kubernetes API: {_one_line(error)}; {expected}"
        ) from error


def _one_line(error: object) -> str:
    return printable(" ".join(str(error).split()) or type(error).__name__, 300)
