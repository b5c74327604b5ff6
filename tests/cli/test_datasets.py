from __future__ import annotations

from datetime import date

import pandas as pd
import pytest
from google.cloud import bigquery

from tests import emulators
from tests.audit_rows import audit_rows
from tests.shared.usecases import small_city
from velocast.adapters.champion_manifest import SummaryEntry, upsert_summary
from velocast.core.errors import EventError, ObjectMissing
from velocast.core.settings import JobSettings
from velocast.usecases.context import Run
from velocast.usecases.training.datasets import baseline, frozen_counts
from velocast.usecases.training.datasets.baseline import Baseline
from velocast_cli import datasets as baselines
from velocast_cli.datasets import Dataset, Verification

pytestmark = pytest.mark.usefixtures("storage_buckets", "warehouse_tables")

EARLIER, LATER = "2025-03-08T04:00:00Z", "2025-03-10T04:00:00Z"


def job_run(as_of: str = LATER) -> Run[JobSettings]:
    return small_city.job_run(as_of, component="dataset", execution_id="by-hand")


@pytest.fixture
def city() -> pd.DataFrame:
    made = small_city.make(counters=2, days=20)
    small_city.store(made)
    return made


def in_force() -> Baseline:
    return Baseline.model_validate(
        emulators.objects("datasets").read_json("baseline/current.json")[0]
    )


def version(baseline: Baseline, number: int) -> SummaryEntry:
    return SummaryEntry(
        version=number,
        run_id=f"run-{number}",
        task="forecast",
        kind="gbm",
        trained_at=LATER,
        dataset_hashes={
            "counts": baseline.counts.sha256,
            "test_baseline": baseline.test.sha256,
        },
        artifact_uri="gs://models/m",
        sha256="0" * 64,
        feature_definition="features-x",
    )


class TestFreeze:
    def test_a_newer_pair_takes_the_place_and_the_older_one_stays(self, city: pd.DataFrame) -> None:
        _, first_is_new = baselines.freeze_baseline(job_run(EARLIER))
        second, second_is_new = baselines.freeze_baseline(job_run(LATER))
        assert (first_is_new, second_is_new) == (True, True)
        assert in_force() == second
        assert second.counts.last == "2025-03-09T22:00:00Z"
        assert second.test.days.until == date(2025, 3, 10)
        kept = [
            emulators.objects("datasets").read_json(name)[0]
            for name in emulators.objects("datasets").names("baseline/frozen/")
        ]
        assert sorted(Baseline.model_validate(k).frozen_at for k in kept) == [EARLIER, LATER]
        assert baseline.ensure_baseline(job_run(), frozen_counts.freeze_counts(job_run())) == second

    def test_the_pair_that_a_first_training_made_is_kept_too(self, city: pd.DataFrame) -> None:
        first = baseline.ensure_baseline(
            job_run(EARLIER), frozen_counts.freeze_counts(job_run(EARLIER))
        )
        baselines.freeze_baseline(job_run(LATER))
        assert (
            Baseline.model_validate(emulators.objects("datasets").read_json(first.name)[0]) == first
        )

    def test_the_same_counts_again_change_nothing(self, city: pd.DataFrame) -> None:
        first, _ = baselines.freeze_baseline(job_run())
        generation = emulators.objects("datasets").read("baseline/current.json").generation
        assert baselines.freeze_baseline(job_run("2025-03-10T20:00:00Z")) == (first, False)
        assert emulators.objects("datasets").read("baseline/current.json").generation == generation

    def test_an_older_pair_is_refused(self, city: pd.DataFrame) -> None:
        made, _ = baselines.freeze_baseline(job_run(LATER))
        with pytest.raises(EventError, match=r"ends with the count of 2025-03-09T22:00:00Z.*later"):
            baselines.freeze_baseline(job_run(EARLIER))
        assert in_force() == made

    def test_it_is_in_the_audit_once(
        self, city: pd.DataFrame, warehouse_tables: bigquery.Client
    ) -> None:
        for _ in range(2):
            made, _ = baselines.freeze_baseline(job_run())
        (row,) = audit_rows(warehouse_tables)
        sha256 = row["details"]["baseline"]["test"]["sha256"]
        assert (row["event_type"], sha256) == ("TRAINING", made.test.sha256)


class TestListing:
    def test_it_names_hashes_days_rows_and_who_uses_them(self, city: pd.DataFrame) -> None:
        old, _ = baselines.freeze_baseline(job_run(EARLIER))
        new, _ = baselines.freeze_baseline(job_run(LATER))
        upsert_summary(emulators.objects(), version(old, 1))
        upsert_summary(emulators.objects(), version(new, 2))
        found = {(d.role, d.sha256): d for d in baselines.list_datasets(job_run())}
        assert len(found) == 6
        assert found["counts", new.counts.sha256] == Dataset(
            sha256=new.counts.sha256,
            role="counts",
            uri=new.counts.uri,
            rows=len(city),
            first=date(2025, 2, 18),
            last=date(2025, 3, 9),
            used_by=("forecast/2",),
        )
        assert found["test_baseline", old.test.sha256].used_by == ("forecast/1",)
        assert found["test_baseline", new.test.sha256].first == new.test.days.first
        halves = {k: d.in_force for k, d in found.items() if k[0] != "counts"}
        assert halves == {
            ("train_baseline", old.train.sha256): False,
            ("test_baseline", old.test.sha256): False,
            ("train_baseline", new.train.sha256): True,
            ("test_baseline", new.test.sha256): True,
        }

    def test_an_object_that_no_record_describes_is_listed(self, city: pd.DataFrame) -> None:
        frozen = frozen_counts.freeze_counts(job_run())
        (found,) = baselines.list_datasets(job_run())
        assert (found.sha256, found.role, found.rows) == (frozen.sha256, "unknown", None)

    def test_nothing_is_frozen_yet(self) -> None:
        assert baselines.list_datasets(job_run()) == []


def faults(*chosen: str) -> dict[str, Verification]:
    return {v.dataset.sha256: v for v in baselines.verify_datasets(job_run(), chosen) if v.faults}


class TestVerify:
    @pytest.fixture
    def frozen(self, city: pd.DataFrame) -> Baseline:
        return baselines.freeze_baseline(job_run())[0]

    def test_what_was_frozen_is_intact(self, frozen: Baseline) -> None:
        found = {v.dataset.role: v for v in baselines.verify_datasets(job_run())}
        assert {role: (v.object_copy, v.table_copy) for role, v in found.items()} == {
            "counts": ("intact", "intact"),
            "train_baseline": ("intact", "none"),
            "test_baseline": ("intact", "none"),
        }
        assert not any(v.faults for v in found.values())

    def test_altered_bytes_are_a_fault(self, frozen: Baseline) -> None:
        name = f"counts/{frozen.test.sha256}.parquet"
        data = emulators.objects("datasets").read(name).data
        emulators.objects("datasets").write(name, data[:-1] + b"?", content_type="text/plain")
        found = faults()
        assert list(found) == [frozen.test.sha256]
        assert found[frozen.test.sha256].object_copy == "differs"
        assert "restore the generation" in found[frozen.test.sha256].faults[0]

    def test_a_missing_object_is_a_fault(self, frozen: Baseline) -> None:
        emulators.objects("datasets").delete(f"counts/{frozen.train.sha256}.parquet")
        assert faults()[frozen.train.sha256].object_copy == "absent"

    def test_an_object_that_only_a_version_names_is_a_fault_when_it_is_missing(
        self, frozen: Baseline
    ) -> None:
        lost = frozen.model_copy(
            update={"counts": frozen.counts.model_copy(update={"sha256": "a" * 64})}
        )
        upsert_summary(emulators.objects(), version(lost, 7))
        assert faults()["a" * 64].dataset.used_by == ("forecast/7",)

    def test_a_record_with_other_rows_is_a_fault(self, frozen: Baseline) -> None:
        test = frozen.test.model_copy(update={"rows": 5})
        for name in ("baseline/current.json", frozen.name):
            emulators.objects("datasets").write_json(
                name, frozen.model_copy(update={"test": test}).model_dump(mode="json")
            )
        assert "but its record says 5" in faults()[frozen.test.sha256].faults[0]

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE `{}` SET bike_count = bike_count + 1 WHERE counted_at = '2025-03-01 12:00:00+00'",
            "UPDATE `{}` SET quality = 'outage' WHERE counted_at = '2025-03-01 12:00:00+00'",
            "DELETE FROM `{}` WHERE counted_at = '2025-03-01 12:00:00+00'",
        ],
        ids=["count", "quality", "row"],
    )
    def test_a_table_that_holds_other_rows_is_a_fault(
        self, frozen: Baseline, warehouse_tables: bigquery.Client, change: str
    ) -> None:
        table = f"{emulators.PROJECT}.{frozen.counts.table}"
        warehouse_tables.query_and_wait(change.format(table))
        try:
            found = faults()
            assert found[frozen.counts.sha256].table_copy == "differs"
            assert frozen.counts.table in found[frozen.counts.sha256].faults[0]
        finally:
            warehouse_tables.delete_table(table)

    def test_an_expired_table_is_no_fault(
        self, frozen: Baseline, warehouse_tables: bigquery.Client
    ) -> None:
        warehouse_tables.delete_table(f"{emulators.PROJECT}.{frozen.counts.table}")
        (found,) = baselines.verify_datasets(job_run(), [frozen.counts.sha256[:8]])
        assert (found.object_copy, found.table_copy, found.faults) == ("intact", "absent", ())

    def test_an_unknown_hash_is_refused(self, frozen: Baseline) -> None:
        with pytest.raises(ObjectMissing, match="starts with 'zz'"):
            list(baselines.verify_datasets(job_run(), ["zz"]))
