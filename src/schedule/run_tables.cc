#include "schedule/run_tables.h"

namespace quern::schedule {

std::vector<state::Migration> RunTables() {
  return {
      {"DAG runs, task instances, tries and reruns",
       {R"(CREATE TABLE dag_run (
             id BIGINT NOT NULL PRIMARY KEY,
             target VARCHAR(200) NOT NULL,
             dag_id VARCHAR(200) NOT NULL,
             run_id VARCHAR(300) NOT NULL,
             logical_date BIGINT NOT NULL,
             interval_start BIGINT NOT NULL,
             interval_end BIGINT NOT NULL,
             state VARCHAR(20) NOT NULL,
             selection TEXT NOT NULL,
             vars TEXT NOT NULL,
             git_commit VARCHAR(100) NOT NULL,
             invocation_id VARCHAR(100) NOT NULL,
             full_refresh INTEGER NOT NULL,
             rerun INTEGER NOT NULL,
             attempt INTEGER NOT NULL,
             message TEXT NOT NULL,
             started BIGINT,
             ended BIGINT,
             host VARCHAR(300) NOT NULL,
             boot VARCHAR(300) NOT NULL,
             pid BIGINT NOT NULL,
             process_start BIGINT NOT NULL,
             heartbeat BIGINT NOT NULL,
             UNIQUE (target, run_id)))",
        "CREATE INDEX dag_run_by_date ON dag_run (target, dag_id, logical_date)",
        R"(CREATE TABLE task_instance (
             run_key BIGINT NOT NULL REFERENCES dag_run (id),
             node VARCHAR(500) NOT NULL,
             kind VARCHAR(50) NOT NULL,
             state VARCHAR(20) NOT NULL,
             try_number INTEGER NOT NULL,
             started BIGINT,
             ended BIGINT,
             seconds DOUBLE PRECISION NOT NULL,
             rows_written BIGINT,
             rows_discarded BIGINT,
             message TEXT NOT NULL,
             error TEXT,
             result_values TEXT NOT NULL,
             details TEXT NOT NULL,
             PRIMARY KEY (run_key, node)))",
        "CREATE INDEX task_instance_by_node ON task_instance (node, ended)",
        R"(CREATE TABLE task_try (
             run_key BIGINT NOT NULL REFERENCES dag_run (id),
             node VARCHAR(500) NOT NULL,
             try_number INTEGER NOT NULL,
             state VARCHAR(20) NOT NULL,
             started BIGINT,
             ended BIGINT,
             message TEXT NOT NULL,
             error TEXT,
             PRIMARY KEY (run_key, node, try_number)))",
        R"(CREATE TABLE dag_rerun (
             target VARCHAR(200) NOT NULL,
             dag_id VARCHAR(200) NOT NULL,
             from_date BIGINT NOT NULL,
             until_date BIGINT NOT NULL,
             prepared INTEGER NOT NULL,
             PRIMARY KEY (target, dag_id)))"}},
  };
}

}  // namespace quern::schedule
