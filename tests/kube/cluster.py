"""A real Kubernetes API server with its etcd, on loopback, for as long as a test module runs."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml
from kubernetes import client

PATIENCE = 60.0
ADMIN = "admin-token"


class Cluster:
    """etcd and kube-apiserver in `folder`; there is no kubelet, and no controller."""

    def __init__(self, assets: Path, folder: Path) -> None:
        self.folder = folder
        self._assets = assets
        self._started: list[subprocess.Popen[bytes]] = []
        self.port = free_port()
        self.host = f"https://127.0.0.1:{self.port}"
        self.kubectl_path = self.find("kubectl")

    def find(self, name: str) -> str:
        """A program, from the assets, the PATH or beside the Python that runs this."""
        path = os.pathsep.join(
            (str(self._assets), os.environ.get("PATH", ""), str(Path(sys.executable).parent))
        )
        found = shutil.which(name, path=path)
        if found is None:
            raise FileNotFoundError(f"{name}: neither in {self._assets} nor on the PATH")
        return found

    def __enter__(self) -> Cluster:
        try:
            self._start_etcd()
            self._start_api_server()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        for process in reversed(self._started):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._started.clear()

    def _start_etcd(self) -> None:
        self.etcd = f"http://127.0.0.1:{free_port()}"
        peer = f"http://127.0.0.1:{free_port()}"
        self._start(
            "etcd",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={self.etcd}",
            f"--advertise-client-urls={self.etcd}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        )
        self._wait(f"{self.etcd}/health")

    def _start_api_server(self) -> None:
        tokens = self.folder / "tokens.csv"
        tokens.write_text(f'{ADMIN},admin,1,"system:masters"\n')
        key, public = self.folder / "sa.key", self.folder / "sa.pub"
        for arguments in (
            ("genrsa", "-out", str(key), "2048"),
            ("rsa", "-in", str(key), "-pubout", "-out", str(public)),
        ):
            subprocess.run(["openssl", *arguments], check=True, capture_output=True)
        self._start(
            "kube-apiserver",
            f"--etcd-servers={self.etcd}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.port}",
            "--insecure-port=0",
            "--advertise-address=127.0.0.1",
            f"--cert-dir={self.folder / 'certs'}",
            f"--token-auth-file={tokens}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.96.0.0/24",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={public}",
            f"--service-account-signing-key-file={key}",
            "--disable-admission-plugins=ServiceAccount",
        )
        self._wait(f"{self.host}/readyz")
        self.core = client.CoreV1Api(client.ApiClient(self._configuration()))
        self._until_it_serves()

    def _until_it_serves(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.core.read_namespace("default")
                return
            except client.ApiException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def _configuration(self) -> Any:
        configuration = client.Configuration()
        configuration.host = self.host
        configuration.verify_ssl = True
        configuration.ssl_ca_cert = str(self.folder / "certs" / "apiserver.crt")
        configuration.api_key = {"authorization": f"Bearer {ADMIN}"}
        return configuration

    def _start(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self._started.append(
                subprocess.Popen(
                    [self.find(name), *arguments],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                )
            )  # fmt: skip

    def _wait(self, url: str) -> None:
        """Until `url` says that all is well."""
        deadline = time.monotonic() + PATIENCE
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {ADMIN}"})
        context = ssl._create_unverified_context()
        while True:
            try:
                with urllib.request.urlopen(request, timeout=5, context=context):
                    return
            except (OSError, urllib.error.URLError):
                ended = [process.args for process in self._started if process.poll() is not None]
                if ended or time.monotonic() > deadline:
                    raise RuntimeError(f"{url} does not answer:\n{self.logs()}") from None
                time.sleep(0.2)

    def logs(self) -> str:
        """The ends of the programs' logs."""
        return "\n".join(
            f"== {path.name}\n{path.read_text(errors='replace')[-2000:]}"
            for path in sorted(self.folder.glob("*.log"))
        )

    def kubeconfig(self, token: str, name: str) -> Path:
        """A kubeconfig of whoever has the token."""
        path = self.folder / f"{name}.kubeconfig"
        authority = str(self.folder / "certs" / "apiserver.crt")
        cluster = {"server": self.host, "certificate-authority": authority}
        path.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "x",
                    "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
                    "clusters": [{"name": "x", "cluster": cluster}],
                    "users": [{"name": "x", "user": {"token": token}}],
                }
            )
        )
        return path

    def kubectl(self, *arguments: str) -> str:
        """What kubectl prints, as the cluster's admin."""
        config = self.kubeconfig(ADMIN, "admin")
        done = subprocess.run(
            [self.kubectl_path, f"--kubeconfig={config}", *arguments],
            capture_output=True, text=True, timeout=PATIENCE,
            env={**os.environ, "HOME": str(self.folder)},
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def run_pod(
        self,
        name: str,
        *addresses: str,
        node: str = "n1",
        namespace: str = "default",
        host_network: bool = False,
    ) -> str:
        """Make a running pod, as a kubelet would have it; returns its uid."""
        made = self.core.create_namespaced_pod(
            namespace,
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name},
                "spec": {
                    "nodeName": node,
                    "hostNetwork": host_network,
                    "containers": [{"name": "c", "image": "i"}],
                },
            },
        )
        self.set_status(name, "Running", *addresses, namespace=namespace)
        return str(made.metadata.uid)

    def set_status(
        self, name: str, phase: str, *addresses: str, namespace: str = "default"
    ) -> None:
        status = {
            "phase": phase,
            "podIP": addresses[0] if addresses else None,
            "podIPs": [{"ip": address} for address in addresses],
        }
        self.core.patch_namespaced_pod_status(name, namespace, {"status": status})

    def delete_pod(self, name: str, namespace: str = "default") -> None:
        """At once, as when the kubelet has seen it end."""
        self.core.delete_namespaced_pod(name, namespace, grace_period_seconds=0)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
