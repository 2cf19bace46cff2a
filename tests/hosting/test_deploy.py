"""The files that put Headlight on a host are what their programs accept, and hold what they promise."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from hosted import NGINX, ROOT, dockerfile, own_certificate

DEPLOY = ROOT / "deploy"


def manifests() -> dict[str, Any]:
    found = [part for part in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()) if part]
    return {part["kind"]: part for part in found}


@pytest.mark.house
@pytest.mark.parametrize("kind", sorted(manifests()))
def test_every_manifest_fits_the_schemas_of_kubernetes(kind: str) -> None:
    kubernetes_validate.validate(manifests()[kind], "1.33", strict=True)


@pytest.mark.house
def test_a_pod_can_write_nowhere_but_in_tmp_and_may_do_nothing() -> None:
    pod = manifests()["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    own = container["securityContext"]
    assert own["readOnlyRootFilesystem"] and not own["allowPrivilegeEscalation"]
    assert own["capabilities"] == {"drop": ["ALL"]}
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/tmp"]
    assert pod["securityContext"]["runAsUser"] == int(re.findall(r"--uid (\d+)", dockerfile())[0])
    assert {
        "Deployment",
        "Service",
        "Ingress",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "HorizontalPodAutoscaler",
    } <= set(manifests())


@pytest.mark.house
def test_the_services_of_compose_are_as_closed_as_a_pod() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    assert set(services) == {"headlight-1", "headlight-2", "nginx"}
    for service in services.values():
        assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["restart"] == "unless-stopped"
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}


@pytest.mark.house
def test_images_have_a_tag_and_the_command_that_prints_their_digest() -> None:
    """A digest is written down by whoever can ask a registry for it; here nobody can, so none stands here."""
    built = (ROOT / "Dockerfile").read_text()
    composed = (DEPLOY / "compose.yaml").read_text()
    (base,) = re.findall(r"^FROM (\S+)$", built, re.MULTILINE)
    (front,) = [image for image in re.findall(r"^    image: (\S+)$", composed, re.MULTILINE) if image != "headlight"]
    for image, said in ((base, built), (front, composed)):
        assert re.fullmatch(r"(python:3\.11-slim|nginx:stable)(@sha256:[0-9a-f]{64})?", image)
        assert f"docker buildx imagetools inspect {image.partition('@')[0]} --format '{{{{.Manifest.Digest}}}}'" in said


@pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed (Debian: apt-get install nginx-light)")
@pytest.mark.parametrize("front", ["http.conf", "tls.conf"])
def test_nginx_takes_the_files(front: str, tmp_path: Path) -> None:
    conf = tmp_path / "nginx"
    shutil.copytree(DEPLOY / "nginx", conf)
    shutil.copy(conf / front, conf / "front.conf")
    own_certificate(conf / "tls")
    text = (conf / "nginx.conf").read_text().replace("/tmp/nginx", f"{tmp_path}/nginx-")
    (conf / "nginx.conf").write_text(re.sub(r"headlight-\d:8501", "127.0.0.1:8501", text))
    done = subprocess.run([NGINX, "-t", "-c", str(conf / "nginx.conf")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.house
def test_one_lock_has_every_package_its_version_and_its_hashes() -> None:
    asked = dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
    lock = (ROOT / "requirements.lock").read_text()
    entries = re.split(r"\n(?=[a-z])", lock)
    locked = {entry.split("==")[0]: entry for entry in entries if "==" in entry.split("\n")[0]}
    behind = {
        name: version
        for name, version in asked.items()
        if not locked.get(name.replace("_", "-").lower(), "").startswith(f"{name.replace('_', '-').lower()}=={version}")
    }
    assert behind == {}, "make lock"
    assert len(locked) > 70 and all("--hash=sha256:" in entry for entry in locked.values())
    assert "://" not in lock and "nvidia" not in lock
    listed = (ROOT / "THIRD_PARTY.md").read_text()
    assert [name for name in locked if f"| {name} |" not in listed] == []


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_tests_do_not_run_where_no_chromium_is_found(tmp_path: Path) -> None:
    """An empty CHROMIUM would let the browser tests fail one by one, or pass over what they are for."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name, does in ((".ci/chromium", "exit 1"), (".venv/bin/pytest", f"touch {tmp_path}/ran")):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    for goal in ("test", "test-full"):
        told = [f"--assume-old={needed}" for needed in (".venv/installed", ".venv/installed-dev")]
        (tmp_path / ".venv/installed-dev").touch()
        done = subprocess.run(["make", *told, goal], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode != 0 and not (tmp_path / "ran").exists(), done.stdout + done.stderr


def test_every_test_has_a_deadline(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.pluginmanager.hasplugin("timeout") and float(pytestconfig.getini("timeout")) == 300
