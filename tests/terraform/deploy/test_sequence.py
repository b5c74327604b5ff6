"""The order of a deployment, with programs that only note how they are called."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from terraform.deploy import __main__ as deploy
from terraform.deploy import state
from terraform.deploy.__main__ import main
from tests.terraform.deploy.conftest import DIGEST, REGISTRY, described, plan_json, service_with
from tests.terraform.deploy.stand_ins import StandIns
from tests.terraform.grants import GRANTS

UP = ("up", "velocast-test", "dev", "-auto-approve")
STEPS = {
    "bucket": r"storage buckets describe",
    "bootstrap": r"-chdir=bootstrap apply",
    "lock": r"terraform providers lock",
    "init": r"^terraform init",
    "agents": r"identity create",
    "detach": r"functions detach",
    "import": r"terraform import",
    "hold": r"update-traffic .*--to-revisions=velocast-serve-00001-abc=100",
    "targets": r"terraform apply .*-target=",
    "plan": r"^terraform plan",
    "build": r"builds submit",
    "backup": r"sql backups create",
    "migrate": r"jobs execute",
    "apply": r"terraform apply -input=false \S+tfplan",
    "next": r"output -raw next_steps",
}


def steps(cloud: StandIns) -> list[str]:
    """The names of the steps that were done, in order."""
    return [n for c in cloud.calls() for n, pattern in STEPS.items() if re.search(pattern, c)]


def test_a_usual_deployment_plans_once_and_targets_nothing(cloud: StandIns) -> None:
    assert main(UP) == 0
    assert steps(cloud) == ["bucket", "init", "agents", "agents", "plan", "apply", "next"]
    assert not cloud.calls("-target")
    (plan,) = cloud.calls("^terraform plan")
    assert "-var=project_id=velocast-test -var-file=environments/dev.tfvars" in plan
    assert f'-var=base_images={{"base": "{DIGEST}", "proxy": "{DIGEST}"}}' in plan
    assert "-auto-approve" not in plan


def test_the_first_deployment_makes_agents_registry_and_images_first(cloud: StandIns) -> None:
    cloud.fail("storage buckets describe")
    cloud.answer("state pull", "")
    cloud.answer("terraform show", plan_json(registry=(["create"], None, {})))
    cloud.fail("docker images describe")
    assert main(UP) == 0
    assert steps(cloud) == [
        "bucket", "bootstrap", "init", "agents", "agents", "plan", "targets", "plan",
        "build", "build", "build", "apply", "next",
    ]  # fmt: skip
    (targets,) = cloud.calls("-target")
    assert "-target=module.project -target=module.builder" in targets


def test_every_service_agent_that_gets_a_role_is_made(cloud: StandIns) -> None:
    granted = {
        account.removeprefix("@")
        for roles in GRANTS.values()
        for accounts in roles.values()
        for account in accounts.split()
        if account.startswith("@")
    }
    assert set(state.AGENTS.values()) == granted
    assert main(UP) == 0
    assert cloud.calls("identity create") == [
        f"gcloud beta services identity create --service={service} --project=velocast-test --quiet"
        for service in sorted(state.AGENTS)
    ]
    names = [cloud.calls().index(c) for c in cloud.calls("services enable|identity create")]
    assert names == sorted(names), "an API must be enabled before its agent is made"


@pytest.mark.parametrize(
    ("failing", "step"),
    [
        ("identity create .*pubsub", "creating the service agent of pubsub.googleapis.com"),
        ("builds submit .*jobs-", "building jobs"),
        ("terraform apply -input=false \\S+tfplan", "terraform apply"),
        ("terraform apply .*-target", "creating module.project and module.builder"),
    ],
)
def test_what_fails_at_first_is_tried_again(
    failing: str, step: str, cloud: StandIns, capfd: pytest.CaptureFixture[str]
) -> None:
    cloud.fail("docker images describe")
    cloud.answer("terraform show", plan_json(registry=(["create"], None, {})))
    cloud.answer(failing, failures=2)
    assert main(UP) == 0
    assert (
        f"{step} failed (attempt 2 of 4). New accounts and grants can take"
        in capfd.readouterr().err
    )


def test_trying_again_ends(cloud: StandIns, capfd: pytest.CaptureFixture[str]) -> None:
    cloud.fail("docker images describe")
    cloud.fail("builds submit")
    assert main(UP) == 1
    assert len(cloud.calls("builds submit")) == 4
    assert "building jobs failed 4 times: " in capfd.readouterr().err
    assert not cloud.calls("terraform apply")


def test_a_failed_apply_is_planned_again_because_a_plan_can_be_applied_once(
    cloud: StandIns,
) -> None:
    cloud.answer("terraform show", plan_json(topic=(["create"], None, {})))
    cloud.answer("terraform apply", failures=1)
    assert main(UP) == 0
    assert steps(cloud)[-5:] == ["plan", "apply", "plan", "apply", "next"]


def test_a_change_that_creates_nothing_is_not_tried_again(cloud: StandIns) -> None:
    cloud.answer("terraform show", plan_json(topic=(["update"], {}, {})))
    cloud.fail("terraform apply")
    assert main(UP) == 1
    assert len(cloud.calls("terraform apply")) == 1


def test_images_are_built_from_the_base_image_by_its_digest(cloud: StandIns) -> None:
    cloud.fail(f"docker images describe {REGISTRY}/serve")
    assert main(UP) == 0
    (build,) = cloud.calls("builds submit")
    assert f"_IMAGE={REGISTRY}/serve:0123456789abcdef,_BASE_IMAGE=python@{DIGEST}" in build
    assert build.split()[3].endswith("/serve-0123456789abcdef.zip")
    assert "--region=europe-west1 " in build


def test_mlflow_is_backed_up_and_migrated_with_the_new_image_before_the_apply(
    cloud: StandIns,
) -> None:
    old, new = f"{REGISTRY}/mlflow:0000000000000000", f"{REGISTRY}/mlflow:0123456789abcdef"
    changes = {"mlflow": (["update"], service_with(old), service_with(new))}
    cloud.answer("terraform show", plan_json(**changes, migration=(["update"], {}, {})))
    assert main(UP) == 0
    assert steps(cloud)[4:] == ["plan", "backup", "migrate", "apply", "next"]
    calls = cloud.calls("run jobs")
    assert calls == [
        "gcloud run jobs update velocast-mlflow-migrate --region=europe-west1 --project=velocast-test --quiet "
        f"--container=migrate --image={new}",
        "gcloud run jobs execute velocast-mlflow-migrate --wait --region=europe-west1 --project=velocast-test --quiet",
    ]
    assert not cloud.calls("-target")


def test_an_image_that_stays_and_a_service_that_is_new_are_not_migrated(cloud: StandIns) -> None:
    same = service_with(f"{REGISTRY}/mlflow:0123456789abcdef")
    cloud.answer("terraform show", plan_json(mlflow=(["no-op"], same, same)))
    assert main(UP) == 0
    cloud.answer("terraform show", plan_json(mlflow=(["create"], None, same)))
    assert main(UP) == 0
    assert "migrate" not in steps(cloud)


def test_a_failed_migration_changes_nothing(
    cloud: StandIns, capfd: pytest.CaptureFixture[str]
) -> None:
    old, new = f"{REGISTRY}/mlflow:0000000000000000", f"{REGISTRY}/mlflow:0123456789abcdef"
    cloud.answer(
        "terraform show", plan_json(mlflow=(["update"], service_with(old), service_with(new)))
    )
    cloud.fail("jobs execute")
    assert main(UP) == 1
    assert not cloud.calls("terraform apply")
    said = " ".join(capfd.readouterr().err.split())
    assert f"Nothing was applied, and the service still runs {old}" in said
    assert "gcloud sql backups list --instance=velocast-mlflow" in said


def test_a_deployment_without_the_migration_job_gets_it_first(cloud: StandIns) -> None:
    old, new = f"{REGISTRY}/mlflow:0000000000000000", f"{REGISTRY}/mlflow:0123456789abcdef"
    cloud.answer(
        "terraform show",
        plan_json(
            mlflow=(["update"], service_with(old), service_with(new)),
            migration=(["create"], None, service_with(new)),
        ),
    )
    cloud.fail("docker images describe \\S+mlflow")
    assert main(UP) == 0
    assert steps(cloud)[4:] == [
        "plan", "build", "targets", "plan", "backup", "migrate", "apply", "next",
    ]  # fmt: skip


@pytest.mark.parametrize("verb", ["up", "plan", "apply", "down"])
@pytest.mark.parametrize(("held", "given"), [("dev", "prod"), ("prod", "dev")])
def test_the_other_environments_variables_are_refused(
    verb: str, held: str, given: str, cloud: StandIns, capfd: pytest.CaptureFixture[str]
) -> None:
    cloud.answer("state pull", {"outputs": {"environment": {"value": held}}})
    assert main((verb, "velocast-test", given, "-auto-approve")) == 1
    assert f"velocast-test holds {held}, and ENVIRONMENT is {given}" in capfd.readouterr().err
    assert not cloud.calls("terraform (plan|apply|destroy)|services enable")


def test_the_environment_of_a_deployment_of_0_1_is_read_from_its_labels(cloud: StandIns) -> None:
    labels = {"terraform_labels": {"app": "velocast", "environment": "prod"}}
    resources = [{"instances": [{"attributes": {}}]}, {"instances": [{"attributes": labels}]}]
    cloud.answer("state pull", {"outputs": {}, "resources": resources})
    assert state.held_environment() == "prod"
    assert main(UP) == 1


@pytest.mark.parametrize(
    ("arguments", "location"),
    [((), "europe-west1"), (("-var=location=europe-west9",), "europe-west9")],
)
def test_the_state_is_kept_in_the_chosen_region(
    arguments: tuple[str, ...], location: str, cloud: StandIns
) -> None:
    cloud.fail("storage buckets describe")
    assert main((*UP, *arguments)) == 0
    (bootstrap,) = cloud.calls("-chdir=bootstrap apply")
    assert f"-var=location={location}" in bootstrap


def test_a_city_s_own_file_is_packaged_before_terraform_plans(
    cloud: StandIns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(deploy, "run", lambda *command: ran.append(command))
    file = tmp_path / "oz.yaml"
    file.write_text("name: Oz\n")
    assert main((*UP, f"-var=city={file}")) == 0
    assert ran[0][1:] == ("package.py", f"--city={file}")
    assert any(f"-var=city={file}" in call for call in cloud.calls("terraform plan"))


def test_a_city_s_file_that_is_not_there_is_refused(
    cloud: StandIns, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main((*UP, "-var=city=nowhere/oz.yaml")) == 1
    assert "nowhere/oz.yaml does not exist; paths start at the checkout" in capfd.readouterr().err
    assert cloud.calls("terraform") == []


@pytest.mark.parametrize("verb", ["plan", "apply", "down"])
def test_only_up_makes_the_bucket(
    verb: str, cloud: StandIns, capfd: pytest.CaptureFixture[str]
) -> None:
    cloud.fail("storage buckets describe")
    assert main((verb, "velocast-test")) == 1
    assert "nothing is deployed in velocast-test" in capfd.readouterr().err
    assert not cloud.calls("bootstrap")


def test_the_first_deployment_makes_a_lock_file_for_all_platforms_and_records_it(
    cloud: StandIns, tmp_path: Path
) -> None:
    state.LOCK.unlink()
    cloud.answer("terraform providers lock")
    made = cloud.folder / "terraform"
    made.write_text(
        made.read_text().replace(
            "answers =",
            f"if 'providers lock' in call: pathlib.Path({str(state.LOCK)!r}).write_text('hashes')\nanswers =",
            1,
        )
    )
    assert main(UP) == 0
    (lock,) = cloud.calls("providers lock")
    for platform in ("linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64", "windows_amd64"):
        assert f"-platform={platform}" in lock
    assert steps(cloud)[:3] == ["bucket", "lock", "init"]
    target = "gs://velocast-test-terraform-state/deployment/terraform.lock.hcl"
    assert cloud.given(f"storage cp - {target}") == "hashes"


def test_another_machine_takes_the_recorded_lock_file(cloud: StandIns) -> None:
    state.LOCK.unlink()
    cloud.answer("storage cat .*terraform.lock.hcl", "recorded hashes")
    assert main(UP) == 0
    assert state.LOCK.read_text() == "recorded hashes"
    assert not cloud.calls("providers lock")


def test_without_a_registry_of_providers_no_lock_file_is_recorded(cloud: StandIns) -> None:
    state.LOCK.unlink()
    cloud.fail("providers lock")
    assert main(UP) == 0
    assert not cloud.calls("storage cp")


def test_nothing_is_applied_without_a_yes(
    cloud: StandIns, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answer = tmp_path / "answer"
    answer.write_text("no\n")
    with answer.open() as typed:
        monkeypatch.setattr("sys.stdin", typed)
        assert main(("up", "velocast-test", "dev")) == 1
    assert not cloud.calls("terraform apply|backups|run jobs")
    answer.write_text("yes\n")
    with answer.open() as typed:
        monkeypatch.setattr("sys.stdin", typed)
        assert main(("up", "velocast-test", "dev")) == 0
    assert cloud.calls("terraform apply")


def test_plan_changes_nothing_and_apply_applies_what_it_wrote(cloud: StandIns) -> None:
    assert main(("plan", "velocast-test")) == 0
    assert steps(cloud) == ["bucket", "init", "plan"]
    cloud.fail("docker images describe \\S+jobs")
    (plan,) = cloud.calls("^terraform plan")
    saved = Path(re.search(r"-out=(\S+)", plan)[1])
    assert main(("apply", "velocast-test")) == 1, "there is no such file yet"
    saved.write_text("plan")
    assert main(("apply", "velocast-test")) == 0
    assert steps(cloud)[-6:] == ["init", "agents", "agents", "build", "apply", "next"]
    assert cloud.calls("terraform apply") == [f"terraform apply -input=false {saved}"]
    assert not saved.exists()


def test_the_api_of_0_1_becomes_a_service_with_its_traffic_held(cloud: StandIns) -> None:
    function = 'module.function["serve"].google_cloudfunctions2_function.this'
    cloud.answer("terraform state list", f"module.x.y\n{function}\n")
    latest = {"latestRevision": True, "percent": 100, "revisionName": "velocast-serve-00001-abc"}
    adopted = described(traffic=[latest])
    adopted["spec"]["traffic"] = [latest]
    cloud.answer("run services describe", adopted)
    assert main(UP) == 0
    done = steps(cloud)
    assert done[done.index("detach") : done.index("plan")] == ["detach", "hold", "import", "hold"]
    assert cloud.calls("terraform import")[0].endswith(
        "module.serve.google_cloud_run_v2_service.this "
        "projects/velocast-test/locations/europe-west1/services/velocast-serve"
    )
    order = cloud.calls("terraform import|state rm|^terraform plan")
    assert [c.split()[1] for c in order] == ["import", "state", "plan"]


def test_protected_data_is_not_destroyed(
    cloud: StandIns, capfd: pytest.CaptureFixture[str]
) -> None:
    cloud.answer("terraform output -json", {"deletion_protection": {"value": True}})
    assert main(("down", "velocast-test", "dev")) == 1
    assert "has deletion protection. To remove it: make deploy" in capfd.readouterr().err
    cloud.answer("terraform output -json", {"deletion_protection": {"value": False}})
    assert main(("down", "velocast-test", "dev", "-auto-approve")) == 0
    (destroy,) = cloud.calls("terraform destroy")
    assert destroy.endswith(" -auto-approve")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("up", ""), "no project: make deploy PROJECT=my-project"),
        (("up", "velocast-test", "staging"), "ENVIRONMENT must be dev or prod, got 'staging'"),
    ],
)
def test_a_wrong_command_line_is_refused(
    arguments: tuple[str, ...], said: str, cloud: StandIns, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    assert said in capfd.readouterr().err
    assert not cloud.calls()


def test_a_missing_program_is_named(
    cloud: StandIns, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(UP) == 1
    assert "terraform is not installed or not on the PATH" in capfd.readouterr().err
