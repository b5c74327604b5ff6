"""Checks of the whole configuration, from Terraform's JSON. Each check returns one sentence per error."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.terraform import rules
from tests.terraform.alert_cases import CASES
from tests.terraform.cloud import MLFLOW, PLACES, PROJECT, PUBLIC, Cloud
from tests.terraform.grants import GRANTS
from velocast.core import settings

ROOT = Path(__file__).parents[2]
SETTINGS: dict[str, type[settings.Settings]] = {
    "velocast-fetch": settings.FetchSettings,
    "velocast-predict": settings.PredictSettings,
    "velocast-monitor": settings.MonitorSettings,
    "velocast-notify": settings.NotifySettings,
    "velocast-serve": settings.ServeSettings,
    "velocast-train": settings.JobSettings,
    "velocast-evaluate": settings.JobSettings,
    "velocast-promote": settings.JobSettings,
    "velocast-forecast-tasks": settings.ForecastJobSettings,
    "velocast-forecast-publish": settings.ForecastJobSettings,
}


# What a schedule calls that has another name.
CALLED = {"velocast-digest": "velocast-monitor"}


def schedules(cloud: Cloud) -> list[str]:
    """Each schedule publishes to one topic, which triggers exactly one function: that of CALLED, or of which the name
    of the schedule begins with its name.
    """
    wrong = []
    for job in cloud.of("google_cloud_scheduler_job"):
        topic = job["pubsub_target"][0]["topic_name"]
        called = [cloud.callee(s) for s in cloud.pushes if s["topic"] == topic]
        needed = CALLED.get(job["name"], job["name"])
        if len(called) != 1 or not f"{needed}-".startswith(f"{called[0]}-"):
            wrong.append(
                f"schedule {job['name']} publishes to {topic}, which calls {called or 'nothing'}; "
                f"it must call {needed} and nothing else (terraform/config/schedules.yaml)"
            )
        if job["time_zone"] != "Etc/UTC":
            wrong.append(f"schedule {job['name']} runs in {job['time_zone']}, must be UTC")
    return wrong


def fed_functions(cloud: Cloud) -> list[str]:
    """Every function is called by exactly one subscription, with a token for its own service."""
    called = sorted(cloud.callee(s) for s in cloud.pushes)
    needed = sorted(cloud.names("google_cloudfunctions2_function"))
    wrong = [] if called == needed else [f"subscriptions call {called}, needed are {needed}"]
    for push in cloud.pushes:
        target = push["push_config"][0]
        endpoint, token = target.get("push_endpoint"), target["oidc_token"][0]
        if endpoint and endpoint != f"{token['audience']}/{push['topic']}":
            wrong.append(
                f"{push['name']} calls {endpoint} with a token for {token.get('audience')}"
            )
    return wrong


def environments(cloud: Cloud) -> list[str]:
    """Each function and job gets the variables that its settings require, and no other."""
    wrong = [
        f"{name} is declared and has no settings" for name in cloud.environments.keys() - SETTINGS
    ]
    for name, kind in SETTINGS.items():
        given, needed = set(cloud.environments.get(name, {})), kind.required_variables()
        wrong += [
            f"{name} does not get {v}, which {kind.__name__} requires"
            for v in sorted(needed - given)
        ]
        wrong += [
            f"{name} gets {v}, which {kind.__name__} does not read" for v in sorted(given - needed)
        ]
    return wrong


def values(cloud: Cloud) -> list[str]:
    """Each resource named by a variable exists."""
    volumes = {
        f["name"]: {
            f"{v['mount_path']}/{v['versions'][0]['path']}"
            for v in f["service_config"][0]["secret_volumes"]
        }
        for f in cloud.of("google_cloudfunctions2_function")
    }
    volumes |= {
        s["name"]: _mounted(s["template"][0]) for s in cloud.of("google_cloud_run_v2_service")
    }
    audiences = {
        a for s in cloud.of("google_cloud_run_v2_service") for a in s["custom_audiences"] or []
    }
    wrong = []
    for name, variables in cloud.environments.items():
        for variable, value in variables.items():
            kind = variable.rsplit("_", 1)[-1]
            there = {
                "BUCKET": cloud.names("google_storage_bucket"),
                "TOPIC": cloud.names("google_pubsub_topic"),
                "WORKFLOW": cloud.names("google_workflows_workflow"),
                "FILE": volumes.get(name, set()),
                "URI": audiences,
                "PROJECT": {PROJECT},
            }.get(kind)
            if there is not None and value not in there:
                wrong.append(f"{name}: {variable} is {value!r}, there is only {sorted(there)}")
    return wrong


def _mounted(template: Mapping[str, Any]) -> set[str]:
    """The files of the secrets that a service's container sees."""
    folders = {m["name"]: m["mount_path"] for m in template["containers"][0]["volume_mounts"]}
    return {
        f"{folders[volume['name']]}/{volume['secret'][0]['items'][0]['path']}"
        for volume in template["volumes"]
        if volume["name"] in folders
    }


def roles(cloud: Cloud) -> list[str]:
    """Every role is one that grants.py lists."""
    iam = [r for r in cloud.resources if "_iam_" in r.type and not r.type.endswith("audit_config")]
    wrong = [
        f"{r.address}: {r.type} is not a grant of one role to one account on a known kind of resource"
        for r in iam
        if r.type not in PLACES and r.type != "google_project_iam_member"
    ]
    listed = {
        (place, role, account)
        for place, given in GRANTS.items()
        for role, accounts in given.items()
        for account in accounts.split()
    }
    if has_public_site(cloud):
        listed.add(("bucket site", "storage.objectViewer", "*"))
    wrong += [
        f"{w} has {role} on {p}; grants.py does not list it"
        for p, role, w in sorted(cloud.grants - listed)
    ]
    wrong += [
        f"{w} lacks {role} on {p}; grants.py lists it"
        for p, role, w in sorted(listed - cloud.grants)
    ]
    return wrong


def accounts(cloud: Cloud) -> list[str]:
    """Each function, job, service and workflow runs under an account with its own name."""
    used = {
        f["name"]: f["service_config"][0]["service_account_email"]
        for f in cloud.of("google_cloudfunctions2_function")
    }
    used |= {
        j["name"]: j["template"][0]["template"][0]["service_account"]
        for j in cloud.of("google_cloud_run_v2_job")
        if j["name"] not in MLFLOW
    }
    used |= {
        s["name"]: s["template"][0]["service_account"]
        for s in cloud.of("google_cloud_run_v2_service")
    }
    used |= {
        w["name"]: w["service_account"].rsplit("/", 1)[-1]
        for w in cloud.of("google_workflows_workflow")
    }
    existing = cloud.names("google_service_account", "account_id")
    return [
        f"{name} runs as {email}, must run as {name}@... and that account must exist"
        for name, email in used.items()
        if email.split("@")[0] != name or name not in existing
    ]


def has_public_site(cloud: Cloud) -> bool:
    """Whether the configuration says that everyone may read the site."""
    return cloud.environments["velocast-serve"]["VELOCAST_PUBLIC_SITE"] == "true"


def public(cloud: Cloud) -> list[str]:
    """Only serve is public, and the site's bucket where the configuration says so."""
    site = f"{PROJECT}-site" if has_public_site(cloud) else None
    wrong = [
        f"{r.address} gives access to {r['member']}; only velocast-serve may"
        for r in cloud.resources
        if {r["member"], *(r["members"] or [])} & PUBLIC
        and r["name"] != "velocast-serve"
        and (site is None or r["bucket"] != site)
    ]
    wrong += [
        f"bucket {b['name']} can be made public: public_access_prevention must be enforced, access uniform"
        for b in cloud.of("google_storage_bucket")
        if (b["public_access_prevention"] != "enforced" and b["name"] != site)
        or not b["uniform_bucket_level_access"]
    ]
    for function in cloud.of("google_cloudfunctions2_function"):
        ingress = function["service_config"][0]["ingress_settings"]
        if ingress != "ALLOW_INTERNAL_ONLY":
            wrong.append(f"{function['name']} accepts calls from anywhere ({ingress})")
    for instance in cloud.of("google_sql_database_instance"):
        network = instance["settings"][0]["ip_configuration"][0]
        if (
            network["authorized_networks"]
            or instance["settings"][0]["connector_enforcement"] != "REQUIRED"
        ):
            wrong.append(f"database {instance['name']} can be reached without the Auth Proxy")
    return wrong


def tables(cloud: Cloud) -> list[str]:
    """Every schema file has a table with its columns, and a partitioned table requires a filter."""
    files = {
        p.stem: json.loads(p.read_text()) for p in (ROOT / "shared/velocast/schemas").glob("*.json")
    }
    made = {
        f"{t['dataset_id']}.{t['table_id']}": t
        for t in cloud.of("google_bigquery_table")
        if not t["view"]
    }
    wrong = [f"{name}.json has no table" for name in files.keys() - made.keys()]
    wrong += [
        f"table {name} has no file in shared/velocast/schemas"
        for name in made.keys() - files.keys()
    ]
    for name in files.keys() & made.keys():
        columns = [field["name"] for field in json.loads(made[name]["schema"])]
        if columns != [field["name"] for field in files[name]["fields"]]:
            wrong.append(f"table {name} has columns that differ from its file: {columns}")
        if made[name]["time_partitioning"] and not made[name]["require_partition_filter"]:
            wrong.append(f"table {name} can be read without a partition filter")
    return wrong


def workflow(cloud: Cloud) -> list[str]:
    """Each workflow may run the jobs it names, which end before it stops waiting, and gets the variables it reads."""
    jobs = {
        job["name"]: job["template"][0]["template"][0]
        for job in cloud.of("google_cloud_run_v2_job")
        if job["name"] not in MLFLOW
    }
    wrong = []
    for made in cloud.of("google_workflows_workflow"):
        name, source = made["name"], made["source_contents"]
        own = {
            place.removeprefix("job ")
            for place, role, who in cloud.grants
            if role == "run.jobsExecutorWithOverrides" and name == f"velocast-{who}"
        }
        named = set(re.findall(r"\bjob: ([a-z-]+)", source))
        if named != own:
            wrong.append(f"{name} runs {sorted(named)}, its jobs are {sorted(own)}")
        waits = int(re.findall(r"connector_params:\s+timeout: (\d+)", source)[0])
        for job in sorted(own & set(jobs)):
            longest = int(jobs[job]["timeout"].removesuffix("s")) * (jobs[job]["max_retries"] + 1)
            if longest >= waits:
                wrong.append(
                    f"{job} can take {longest} s with its retries, the workflow waits {waits} s"
                )
        leases = re.findall(r"expires_at: \S*sys\.now\(\) \+ (\d+)", source)
        wrong += [
            f"the lease expires after {lease} s, {len(own)} jobs can take {waits * len(own)} s"
            for lease in leases
            if waits * len(own) >= int(lease)
        ]
        read = {
            v for v in re.findall(r'sys\.get_env\("(\w+)"', source) if not v.startswith("GOOGLE_")
        }
        if read != set(made["user_env_vars"]):
            wrong.append(f"{name} reads {sorted(read)} and gets {sorted(made['user_env_vars'])}")
        yaml.safe_load(source)
    return wrong


def dead_letters(cloud: Cloud) -> list[str]:
    """Undeliverable messages end in a subscription that keeps them; grants.py lists the two grants for it."""
    kept = {
        s["topic"]
        for s in cloud.of("google_pubsub_subscription")
        if not s["push_config"] and not s["expiration_policy"][0]["ttl"]
    }
    wrong = []
    for push in cloud.pushes:
        policy = (push["dead_letter_policy"] or [{}])[0]
        if policy.get("dead_letter_topic") not in kept:
            wrong.append(
                f"undeliverable messages of {push['name']} go to {policy.get('dead_letter_topic')}, "
                "which no subscription keeps"
            )
        if push["expiration_policy"][0]["ttl"]:
            wrong.append(
                f"subscription {push['name']} is deleted after {push['expiration_policy'][0]['ttl']} without a message"
            )
    return wrong


def secrets(cloud: Cloud) -> list[str]:
    """Each secret has a first version, and no secret value is stored."""
    entries = yaml.safe_load((ROOT / "terraform/config/secrets.yaml").read_text(encoding="utf-8"))
    wrong = [
        f"the value of {name} is in Terraform's JSON"
        for name, entry in entries.items()
        if entry["first_value"].split("{")[0] in cloud.text
    ]
    wrong += [
        f"{v.address} stores its value"
        for v in cloud.of("google_secret_manager_secret_version")
        if v["secret_data"] or v["secret_data_wo"]
    ]
    wrong += [
        f"a Cloud SQL user has a password: {u.address}"
        for u in cloud.of("google_sql_user")
        if u["password"]
    ]
    versions = len(cloud.of("google_secret_manager_secret_version"))
    return (
        wrong
        if versions == len(entries)
        else [*wrong, f"{len(entries)} secrets, {versions} first versions"]
    )


def metrics(cloud: Cloud) -> list[str]:
    """Alerts and dashboards read existing metrics; rules and objectives have policies that notify the alerts topic."""
    known, wrong = rules.known_metrics(), []
    queries = dict(_queries(cloud))
    for where, query in queries.items():
        wrong += [
            f"{where} reads {name}, which nothing sets"
            for name, _ in rules.selectors(query)
            if name not in known
        ]
        wrong += [f"{where} has a placeholder left: {query}"] if "${" in query else []
    made = {p["user_labels"]["rule"] for p in cloud.of("google_monitoring_alert_policy")}
    alerts = rules.alerts()
    wanted = set(alerts.rules)
    if cloud.of("google_monitoring_slo"):
        wanted |= {f"{name}_{speed}" for name in alerts.objectives for speed in alerts.burn_rates}
    if made != wanted:
        wrong.append(f"rules without a policy, or policies without a rule: {sorted(made ^ wanted)}")
    subscriptions = {push["name"] for push in cloud.pushes}
    watched = set(re.findall(r'subscription_id=~"(.*?)"', queries["alert message_unprocessed"]))
    if {name for names in watched for name in names.split("|")} != subscriptions:
        wrong.append(f"unprocessed messages of {watched} are watched, not of {subscriptions}")
    topics = [c["labels"]["topic"] for c in cloud.of("google_monitoring_notification_channel")]
    if topics != [f"projects/{PROJECT}/topics/velocast-alerts"]:
        wrong.append(
            f"incidents go to {topics}, must go to velocast-alerts, from which notify sends them"
        )
    return wrong


def _queries(cloud: Cloud) -> Iterator[tuple[str, str]]:
    for policy in cloud.of("google_monitoring_alert_policy"):
        for condition in policy["conditions"][0]["condition_prometheus_query_language"] or []:
            if condition.get("query"):
                yield f"alert {policy['user_labels']['rule']}", condition["query"]
    for dashboard in cloud.of("google_monitoring_dashboard"):
        for number, query in enumerate(
            rules.queries(json.loads(dashboard["dashboard_json"] or "{}"))
        ):
            yield f"{dashboard.address} query {number}", query


def firing(cloud: Cloud, folder: Path) -> list[str]:
    """Each alert fires on exactly the series on which it must (promtool)."""
    wrong = []
    for where, query in _queries(cloud):
        name = where.removeprefix("alert ")
        if name not in CASES or rules.NAMES["health_check"] in str(CASES[name]):
            continue
        rule = rules.filled()[name].model_copy(update={"expression": query})
        said = rules.disagreement(rule, CASES[name], folder)
        wrong += [f"alert {name} does not fire as its cases expect: {said}"] if said else []
    return wrong


CHECKS: dict[str, Callable[[Cloud], list[str]]] = {
    check.__name__: check
    for check in (
        schedules, fed_functions, environments, values, roles, accounts, public, tables, workflow,
        dead_letters, secrets, metrics,
    )
}  # fmt: skip
