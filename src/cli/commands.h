#pragma once
#include <string>
#include <vector>

#include "cli/arguments.h"

namespace quern::cli {

/// Every command with its options: the parser, --help, completion and docs/reference/commands.md come from here.
const std::vector<CommandSpec>& Commands();

// What the commands do; each gives the exit code. One file a family: command_<family>.cc.
int RunInit(Invocation&);
int RunCheck(Invocation&);
int RunPlan(Invocation&);
int RunRun(Invocation&);
int RunBackfill(Invocation&);
int RunRetry(Invocation&);
int RunRuns(Invocation&);
int RunLogs(Invocation&);
int RunLs(Invocation&);
int RunLineage(Invocation&);
int RunSql(Invocation&);
int RunTableList(Invocation&);
int RunTableShow(Invocation&);
int RunTableHistory(Invocation&);
int RunTableDiff(Invocation&);
int RunTableRestore(Invocation&);
int RunModelList(Invocation&);
int RunModelShow(Invocation&);
int RunModelCompare(Invocation&);
int RunModelBest(Invocation&);
int RunModelPromote(Invocation&);
int RunModelRollback(Invocation&);
int RunModelReproduce(Invocation&);
int RunModelVerify(Invocation&);
int RunDbt(Invocation&);
int RunDoctor(Invocation&);
int RunUp(Invocation&);
int RunCompletion(Invocation&);
int RunCompleteWords(Invocation&);
int RunVersion(Invocation&);
int RunHelp(Invocation&);

}  // namespace quern::cli
