"""What ships for other machines: compose file, image, requirement files; checked without a container engine."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
    return document


def test_every_component_of_the_design_is_a_service(compose: dict[str, Any]) -> None:
    wanted = {"postgres", "migrate", "api-server", "scheduler", "dag-processor", "triggerer", "trader"}
    assert wanted <= set(compose["services"])


def test_ports_are_published_on_loopback_only(compose: dict[str, Any]) -> None:
    published = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_no_secret_has_a_value_or_a_default(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for key, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|TOKEN|FERNET|_KEY|_CONN|DATABASE_URL", key) and not key.endswith(
                ("_FILE", "_ASYNC")
            ):
                assert value is None or "${" in str(value), f"{name}.{key} is written down"
                assert not re.search(r"\$\{\w+:?-[^}]", str(value)), f"{name}.{key} has a default"


def test_services_wait_for_the_schema_and_for_a_healthy_database(compose: dict[str, Any]) -> None:
    assert compose["services"]["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    for name in ("api-server", "scheduler", "dag-processor", "triggerer", "trader"):
        waits = compose["services"][name]["depends_on"]
        assert waits["migrate"]["condition"] == "service_completed_successfully"


def test_networks_and_volumes_that_services_use_are_declared(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert set(service.get("networks", [])) <= set(compose["networks"])
        named = {volume.split(":")[0] for volume in service.get("volumes", [])}
        assert named <= set(compose["volumes"])


def test_the_image_does_not_run_as_root_and_installs_only_hashed_requirements() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^USER airlock$", text, re.MULTILINE)
    installs = [line for line in text.splitlines() if " install " in line]
    assert installs
    assert all("--require-hashes" in line or "--no-deps" in line for line in installs)
    for source in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE):
        for path in source.split():
            assert (ROOT / path).exists(), path


@pytest.mark.parametrize("name", ["bootstrap", "runtime", "dev"])
def test_requirements_are_pinned_with_hashes_and_record_no_address(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    pins = re.findall(r"^[a-z0-9][^\s=]*==\S+ \\$", text, re.MULTILINE)
    assert pins
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in text
    assert "--index" not in text


@pytest.mark.parametrize("name", ["runtime", "dev"])
def test_everything_asked_for_is_in_the_compiled_file(name: str) -> None:
    asked = {
        re.split(r"[=<>\[ ]", line)[0].lower()
        for line in (ROOT / "requirements" / f"{name}.in").read_text().splitlines()
        if line and line[0].isalpha()
    }
    compiled = set(re.findall(r"^([a-z0-9][^=\[]*)", (ROOT / "requirements" / f"{name}.txt").read_text(), re.MULTILINE))
    assert asked <= compiled
