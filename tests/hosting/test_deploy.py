"""The files that put Headlight on a host are what their programs accept, and hold what they promise."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from hosted import NGINX, ROOT, dockerfile, own_certificate

from attn_core.settings import Settings
from benchmarks import capacity
from hosting import sockets
from hosting.limits import Limits

DEPLOY = ROOT / "deploy"


def manifests() -> dict[str, Any]:
    files = ("kubernetes.yaml", "ingress-nginx.yaml")
    found = [part for name in files for part in yaml.safe_load_all((DEPLOY / name).read_text()) if part]
    return {part["kind"]: part for part in found}


@pytest.mark.house
@pytest.mark.parametrize("kind", sorted(manifests()))
def test_every_manifest_fits_the_schemas_of_kubernetes(kind: str) -> None:
    kubernetes_validate.validate(manifests()[kind], "1.33", strict=True)


def compose_schema() -> Any:
    file = resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    schema = json.loads(file.read_text(encoding="utf-8"))
    return jsonschema.validators.validator_for(schema)(schema)


@pytest.mark.house
@pytest.mark.parametrize("name", ["compose.yaml", "compose.tls.yaml"])
def test_every_compose_file_fits_its_schema(name: str) -> None:
    assert [error.message for error in compose_schema().iter_errors(yaml.safe_load((DEPLOY / name).read_text()))] == []


@pytest.mark.house
def test_what_is_misspelt_does_not_fit() -> None:
    composed = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    composed["services"]["nginx"]["read_onyl"] = True
    assert any("read_onyl" in error.message for error in compose_schema().iter_errors(composed))
    pod = manifests()["Deployment"]
    pod["spec"]["template"]["spec"]["containers"][0]["livenessProb"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="livenessProb"):
        kubernetes_validate.validate(pod, "1.33", strict=True)


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
def test_the_controllers_logs_hold_no_sentence() -> None:
    said = manifests()["ConfigMap"]["data"]
    assert said["error-log-level"] == "emerg" and said["disable-access-log"] == "true"


@pytest.mark.house
def test_an_image_has_the_models_that_are_asked_for_and_by_default_none(tmp_path: Path) -> None:
    """The line of the Dockerfile as a shell runs it, with a Python that says what it was asked."""
    assert re.search(r'^ARG MODELS=""$', dockerfile(), re.MULTILINE)
    (line,) = re.findall(r"^RUN (.*attn_core\.models\.fetching.*)$", dockerfile(), re.MULTILINE)
    (tmp_path / "python").write_text('#!/bin/sh\necho "$HEADLIGHT_MODE: $*"\n')
    (tmp_path / "python").chmod(0o755)

    def said(models: str) -> str:
        own = {"PATH": f"{tmp_path}:/usr/bin:/bin", "MODELS": models}
        return subprocess.run(["sh", "-c", line], env=own, capture_output=True, text=True, check=True).stdout

    assert said("") == ""
    assert said("smollm2 rxnmapper") == "local: -m attn_core.models.fetching smollm2 rxnmapper\n"


def test_streamlits_own_limits_are_those_that_the_guard_and_the_proxies_count_on() -> None:
    said = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert said["runner"]["postScriptGC"] is False and said["client"]["allowedOrigins"] == []
    assert said["client"]["showErrorDetails"] == "none" and said["browser"]["gatherUsageStats"] is False
    server, guard = said["server"], Limits()
    assert server["maxUploadSize"] == 16 and server["disconnectedSessionTTL"] == sockets.STAYS
    assert guard.message_bytes <= server["maxWidgetStateSize"] * 2**20 <= server["maxMessageSize"] * 2**20
    nginx = (DEPLOY / "nginx" / "nginx.conf").read_text()
    ingress = manifests()["Ingress"]["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-body-size"]
    assert ingress == "17m" and "client_max_body_size 17m;" in nginx  # the file, and what frames it


@pytest.mark.house
@pytest.mark.parametrize(
    ("packages", "last", "failed"),
    [
        ([], "known holes: COULD NOT ASK: the index", (False, True)),
        (
            [{"name": "a", "version": "1", "skip_reason": "unknown"}] * 2,
            "known holes: COULD NOT ASK: the index",
            (False, True),
        ),
        ([{"name": "a", "version": "1", "vulns": []}], "known holes: none in all 1 packages", (False, False)),
        (
            [{"name": "a", "version": "1", "vulns": []}, {"name": "b", "version": "1", "skip_reason": "?"}],
            "known holes: none in 1 packages, COULD NOT ASK for 1 others",
            (False, True),
        ),
        (
            [{"name": "a", "version": "1", "vulns": [{"id": "X-1", "fix_versions": ["2"]}]}],
            "KNOWN HOLES: 1 in 1 packages",
            (True, True),
        ),
    ],
)
def test_the_audit_fails_loudly_or_says_that_it_could_not_ask(
    packages: Any,
    last: str,
    failed: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    about = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    assert about is not None and about.loader is not None
    audit = importlib.util.module_from_spec(about)
    about.loader.exec_module(audit)
    monkeypatch.setattr(audit, "told", lambda: packages)
    assert (bool(audit.main(strict=False)), bool(audit.main(strict=True))) == failed
    assert capsys.readouterr().out.splitlines()[-1].startswith(last)


@pytest.mark.house
def test_limits_are_those_that_were_measured() -> None:
    """The container's memory from `make siege`; pods, sessions and nginx's limits from `make load`."""
    results = ROOT / "benchmarks" / "results"
    peak = max(row["memory MB"] for row in json.loads((results / "siege.json").read_text())["rows"])
    (limit,) = re.findall(r"limits: \{memory: (\d+)Mi\}", (DEPLOY / "kubernetes.yaml").read_text())
    (composed,) = re.findall(r"mem_limit: (\d+)m ", (DEPLOY / "compose.yaml").read_text())
    hosting = (ROOT / "docs" / "hosting.md").read_text()
    assert f"at most {peak:,} MB" in hosting and f"--memory {limit}m " in hosting
    assert limit == composed and 1.15 * peak < int(limit) < 1.5 * peak

    measured = json.loads((results / "capacity.json").read_text())
    each = capacity.visitors_per_worker(list(measured["pages"].values()))
    scaled = manifests()["HorizontalPodAutoscaler"]["spec"]
    page = (ROOT / "docs" / "capacity.md").read_text()
    workers = {crowd: int(n) for crowd, n in re.findall(r"^\| ([\d,]+) \| (\d+) \| \d+ \|", page, re.MULTILINE)}
    assert f"**{each} visitors**" in page
    assert (scaled["minReplicas"], scaled["maxReplicas"]) == (workers["100"], workers["10,000"])
    assert Settings().sessions <= each

    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    descriptors = services["headlight-1"]["ulimits"]["nofile"]
    assert descriptors >= 8 * Settings().sessions + 300  # as hosting/memory.py counts them

    nginx = (DEPLOY / "nginx" / "nginx.conf").read_text() + (DEPLOY / "nginx" / "locations.conf").read_text()
    burst, connections = (
        int(re.findall(found, nginx)[0]) for found in (r"burst=(\d+)", r"limit_conn connections (\d+)")
    )
    assert burst >= 13 * capacity.CLASS and connections >= 7 * capacity.CLASS  # files and sockets of one page
    assert Settings().sessions_per_address >= 2 * capacity.CLASS
    told = manifests()["Ingress"]["metadata"]["annotations"]
    rate, times = (int(told[f"nginx.ingress.kubernetes.io/limit-{name}"]) for name in ("rps", "burst-multiplier"))
    assert (rate * times, told["nginx.ingress.kubernetes.io/limit-connections"]) == (burst, str(connections))
    assert f"rate={rate}r/s" in nginx


@pytest.mark.house
def test_the_services_of_compose_are_as_closed_as_a_pod() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    assert set(services) == {"headlight-1", "headlight-2", "nginx"}
    for service in services.values():
        assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["restart"] == "unless-stopped"
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}


@pytest.mark.house
def test_images_have_a_tag_and_are_pinned_by_make_where_a_registry_can_be_asked(tmp_path: Path) -> None:
    """A digest is what a registry says: `make pin-images` asks for it through docker; here a stand-in answers."""
    built = (ROOT / "Dockerfile").read_text()
    composed = (DEPLOY / "compose.yaml").read_text()
    (base,) = re.findall(r"^FROM (\S+)$", built, re.MULTILINE)
    (front,) = [image for image in re.findall(r"^    image: (\S+)$", composed, re.MULTILINE) if image != "headlight"]
    for image, said in ((base, built), (front, composed)):
        assert re.fullmatch(r"(python:3\.11-slim|nginx:stable)(@sha256:[0-9a-f]{64})?", image)
        assert "make pin-images" in said
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    shutil.copy(ROOT / "Dockerfile", tmp_path)
    digest = f"sha256:{'0a' * 32}"
    for answer, works in ((digest, True), ("no such image", False)):
        (tmp_path / "docker").write_text(f"#!/bin/sh\necho '{answer}'\n")
        (tmp_path / "docker").chmod(0o755)
        own = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
        pin = [sys.executable, str(tmp_path / ".ci" / "pin_images.py")]
        assert (subprocess.run(pin, env=own, capture_output=True).returncode == 0) is works
    assert f"FROM python:3.11-slim@{digest}\n" in (tmp_path / "Dockerfile").read_text()
    composed = (tmp_path / "deploy" / "compose.yaml").read_text()
    assert f"image: nginx:stable@{digest}\n" in composed and "image: headlight\n" in composed


@pytest.mark.house
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


@pytest.mark.house
def test_no_failing_test_is_run_again() -> None:
    """What fails now and then is mended; it would hide what really fails now and then."""
    names = ["pyproject.toml", "Makefile", ".ci/run", "requirements-dev.txt", "requirements-dev.lock"]
    said = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in names)
    assert not re.search(r"rerun|flaky|retries(?! 1 --extra)", said)
    own = [file for file in (ROOT / "tests").rglob("*.py") if re.search(r"mark\.flaky|reruns=", file.read_text())]
    assert own == [Path(__file__)]  # which says so


@pytest.mark.house
def test_judges_of_another_library_are_run_by_the_whole_test_and_skipped_nowhere_else() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "\t$(MAKE) test-judges" in makefile.split("\ntest-full:")[1].split("\n\n")[0]
    assert "-m judge" in makefile.split("\ntest-judges:")[1].split("\n\n")[0]
    assert re.search(r"^transformer-lens==\d", (ROOT / "tests/requirements-judges.txt").read_text(), re.MULTILINE)
    for file in (ROOT / "tests" / "core").rglob("test_*.py"):
        for test in file.read_text(encoding="utf-8").split("\n\n\n"):
            if "importorskip" in test:
                assert "@pytest.mark.judge" in test and "make test-judges" in test, file


@pytest.mark.house
def test_a_bare_debian_gets_what_the_browsers_driver_needs() -> None:
    assert "has_library libatomic.so.1 || missing+=(libatomic1)" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_every_test_has_a_deadline(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.pluginmanager.hasplugin("timeout") and float(pytestconfig.getini("timeout")) == 300
