"""Sensor that sets off the retries which Dagster's daemon has missed.

Dagster stores the event of a failure first, and the run's status and the tag of its retry after it.
A daemon that reads the event in between meets a run that has not failed, and looks at it no more:
its backfill would wait for the retry without end.
"""

from datetime import UTC, datetime, timedelta

import dagster as dg

PAUSE = timedelta(minutes=1)
"""Time after which a retry that has not begun counts as missed."""

AGE = timedelta(days=1)
"""Age up to which failures are looked at."""

WILL_RETRY, RETRIED_BY = "dagster/will_retry", "dagster/auto_retry_run_id"
"""Tags of a failed run: Dagster means to retry it; id of the run that does."""

REPORTED = "persona_assets/reported_again"
"""Tag of a run whose failure was reported again: once is enough."""


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reports a failure again whose retry did not begin within a minute.",
)
def missed_retries(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Report missed failures again, so that the daemon retries their runs; start no run itself."""
    now = datetime.now(UTC)
    failures = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.FAILURE],
        tags={WILL_RETRY: "true"},
        updated_after=now - AGE,
    )
    missed = [
        record.dagster_run
        for record in context.instance.get_run_records(failures)
        if not {RETRIED_BY, REPORTED} & record.dagster_run.tags.keys()
        and record.update_timestamp < now - PAUSE
    ]
    for run in missed:
        context.instance.add_run_tags(run.run_id, {REPORTED: "true"})
        context.instance.report_run_failed(run, "The failure is reported again, to be retried.")
    return dg.SkipReason(f"{len(missed)} failures reported again")
