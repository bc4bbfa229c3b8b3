#include "schedule/backfill.h"

#include "base/text.h"
#include "schedule/retry.h"

namespace quern::schedule {
namespace {

using Item = BackfillReport::Item;

Error NothingToDo(const Schedule& schedule, Timestamp from, Timestamp to, Timestamp now) {
  const TimeZone& zone = schedule.timetable.zone();
  Error error(ErrorCode::kInvalidArgument,
              fmt::format("schedule '{}' has no complete interval whose logical date lies between {} and {}",
                          schedule.name, FormatShort(zone.ToLocal(from)), FormatShort(zone.ToLocal(to))));
  const auto next = schedule.timetable.FirstFrom(from);
  if (next && next->start <= to) {
    return std::move(error).Hint(fmt::format("its first one ends at {}, and now it is {}",
                                             FormatInZone(next->end, zone), FormatInZone(now, zone)));
  }
  const auto& bounds = schedule.timetable.bounds();
  if (bounds.start && to < *bounds.start) {
    return std::move(error).Hint(fmt::format("the schedule starts at {}", FormatInZone(*bounds.start, zone)));
  }
  if (bounds.end && from > *bounds.end) {
    return std::move(error).Hint(fmt::format("the schedule ends with {}", FormatInZone(*bounds.end, zone)));
  }
  return std::move(error).Hint(fmt::format("the cron is '{}' in {}", schedule.timetable.cron().text(), zone.name()));
}

std::vector<const Node*> NodesOf(const Workload& work) {
  std::vector<const Node*> nodes;
  for (graph::NodeIndex i = 0; i < work.graph->size(); ++i) {
    if (work.selected[static_cast<size_t>(i)] && work.graph->node(i).runs) nodes.push_back(&work.graph->node(i));
  }
  return nodes;
}

/// Runs intervals in order until one does not succeed.
Result<BackfillReport> Play(const Schedule& schedule, const Workload& work, const std::vector<Interval>& intervals,
                            Timestamp last_asked, bool rerun, const BackfillOptions& options) {
  BackfillReport report;
  report.state = "success";
  const int count = static_cast<int>(intervals.size());
  for (int i = 0; i < count; ++i) {
    RunContext run = ContextOf(schedule, intervals[static_cast<size_t>(i)], options.base);
    run.rerun = rerun;
    const bool replay = run.logical_date > last_asked;
    if (options.runner.cancellation.cancelled()) {
      report.state = "cancelled";
      report.remaining = count - i;
    } else {
      if (options.interval_begins) options.interval_begins(run, i, count, replay);
      const RunReport done = QUERN_TRY(Run(work, run, options.runner));
      if (options.interval_ends) options.interval_ends(run, done);
      report.items.push_back({run.dag_run, run.interval, done.already_done ? "done" : done.state, replay});
      if (done.state == "success") continue;
      report.state = done.state;
      report.remaining = count - i - 1;
    }
    const std::string go_on =
        rerun ? fmt::format("`quern backfill {}` (without --rerun) goes on from there", schedule.name)
              : "the same backfill goes on from there";
    report.advice = report.state == "failed" ? fmt::format("mend what failed, then {}", go_on) : go_on;
    break;
  }
  return report;
}

/// Restores, unless that was done before, and plays the rerun from its first interval to its last. Finished ones are
/// passed over.
Result<BackfillReport> PlayRerun(const Schedule& schedule, const Workload& work, const RunStore::Rerun& rerun,
                                 Timestamp last_asked, const BackfillOptions& options) {
  RunStore& store = *options.runner.store;
  if (!rerun.prepared) {
    if (!options.preparer) {
      return Fail(
          Error(ErrorCode::kInvalidArgument,
                fmt::format("the rerun of '{}' needs its tables to be restored first, which cannot be done here",
                            schedule.name)));
    }
    const auto restored =
        QUERN_TRY_CONTEXT(options.preparer->Restore(schedule.name, rerun.from, NodesOf(work)),
                          fmt::format("undoing what '{}' did from {} on", schedule.name, FormatUtc(rerun.from)));
    if (options.restored) options.restored(restored);
    QUERN_TRY(store.SetRerunPrepared(schedule.name));
  }
  std::vector<Interval> intervals = QUERN_TRY(schedule.timetable.Between(rerun.from, rerun.until));
  const Timestamp now = options.base.clock ? options.base.clock->Now() : Clock::System().Now();
  std::erase_if(intervals, [&](const Interval& interval) { return interval.end > now; });
  auto report = QUERN_TRY(Play(schedule, work, intervals, last_asked, true, options));
  if (report.state == "success") QUERN_TRY(store.EndRerun(schedule.name));
  return report;
}

}  // namespace

RunContext ContextOf(const Schedule& schedule, const Interval& interval, const RunContext& base) {
  RunContext run = base;
  run.schedule = schedule.name;
  run.zone = schedule.timetable.zone();
  run.interval = interval;
  run.next = schedule.timetable.At(interval.end);
  run.logical_date = interval.start;
  run.dag_run = DagRunId(schedule.name, interval.start, run.zone);
  run.full_refresh = base.full_refresh || schedule.full_refresh;
  return run;
}

Result<BackfillReport> Backfill(const Schedule& schedule, const Workload& work, Timestamp from, Timestamp to,
                                const BackfillOptions& options) {
  QUERN_CHECK(options.runner.store);
  const Timestamp now = options.base.clock ? options.base.clock->Now() : Clock::System().Now();
  std::vector<Interval> intervals = QUERN_TRY(schedule.timetable.Between(from, to));
  std::erase_if(intervals, [&](const Interval& interval) { return interval.end > now; });
  if (intervals.empty()) return Fail(NothingToDo(schedule, from, to, now));

  if (options.rerun) {
    if (!options.preparer) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("the rerun of '{}' needs its tables to be restored first, which cannot be done here",
                              schedule.name));
    }
    const auto pending = QUERN_TRY(options.runner.store->PendingRerun(schedule.name));
    const Timestamp first = pending ? std::min(pending->from, intervals.front().start) : intervals.front().start;
    QUERN_TRY(options.preparer->Check(schedule.name, first, NodesOf(work)));
    const auto rerun =
        QUERN_TRY(options.runner.store->BeginRerun(schedule.name, intervals.front().start, intervals.back().start));
    return PlayRerun(schedule, work, rerun, intervals.back().start, options);
  }
  auto resumed = QUERN_TRY(ResumeRerun(schedule, work, options));
  if (resumed && resumed->state != "success") return *resumed;
  auto report = QUERN_TRY(Play(schedule, work, intervals, intervals.back().start, false, options));
  if (resumed) report.items.insert(report.items.begin(), resumed->items.begin(), resumed->items.end());
  return report;
}

Result<std::optional<BackfillReport>> ResumeRerun(const Schedule& schedule, const Workload& work,
                                                  const BackfillOptions& options) {
  const auto pending = QUERN_TRY(options.runner.store->PendingRerun(schedule.name));
  if (!pending) return std::nullopt;
  return QUERN_TRY(PlayRerun(schedule, work, *pending, pending->until, options));
}

Result<RunReport> Retry(const DagRun& run, const Workload& work, const RunContext& base, const TimeZone& zone,
                        const RunnerOptions& options) {
  RunContext context = base;
  context.schedule = run.dag;
  context.dag_run = run.id;
  context.logical_date = run.logical_date;
  context.interval = run.interval;
  context.zone = zone;
  context.full_refresh = run.full_refresh;
  context.rerun = run.rerun;
  if (context.vars.empty()) context.vars = run.vars;
  return Run(work, context, options);
}

}  // namespace quern::schedule
