"""The keywords of LoadLeveler's job command files, as data.

Source: Tivoli Workload Scheduler LoadLeveler, Using and Administering, "Job command file keyword descriptions".
"""

from __future__ import annotations

import re

_NAMES = (
    "account_no arguments as_limit bg_block bg_connection bg_connectivity bg_node_configuration bg_partition"
    " bg_requirements bg_rotate bg_shape bg_size blocking bulkxfer checkpoint ckpt_dir ckpt_execute_dir ckpt_file"
    " ckpt_subdir ckpt_time_limit class cluster_input_file cluster_list cluster_option cluster_output_file"
    " collective_groups comment coschedule core_limit cpu_limit cpus_per_core data_limit data_stg_in_script"
    " data_stg_in_wall_clock_limit data_stg_out_script data_stg_out_wall_clock_limit dependency dstg_environment"
    " dstg_in_script dstg_in_wall_clock_limit dstg_node dstg_out_script dstg_out_wall_clock_limit dstg_resources"
    " eeg energy_policy_tag env_copy environment error executable fair_share_score_limit file_limit"
    " first_node_tasks group hold host_file image_size initialdir input island_count job_cpu_limit job_name"
    " job_type large_page ll_res_id locks_limit max_perf_decrease_allowed mcm_affinity_options memlock_limit"
    " metacluster_job monitor_program network node node_resources node_topology node_usage nofile_limit"
    " notification notify_user nproc_limit output parallel_threads perf_variation_allowed preferences queue"
    " recurring rel_ckpt requirements resources restart restart_from_ckpt restart_on_same_nodes rset rss_limit"
    " shell smt stack_limit startdate step_name step_resources task_affinity task_geometry tasks_per_node"
    " total_tasks trace user_priority wall_clock_limit"
)
KEYWORDS = frozenset(_NAMES.split())
STATEMENT = re.compile(r"#[ \t]*@[ \t]*([A-Za-z_][A-Za-z0-9_]{0,60})((?:\.[A-Za-z0-9_]{1,30})?)[ \t]*(=|$)", re.ASCII)
# The field that a text goes to as it stands.
PLAIN = {
    "account_no": "account",
    "class": "queue",
    "comment": "comment",
    "error": "error",
    "initialdir": "workdir",
    "input": "input",
    "job_name": "name",
    "ll_res_id": "reservation",
    "output": "output",
    "shell": "shell",
    "user_priority": "priority",
}


def is_statement(line: str) -> bool:
    """Whether a line is a keyword statement: `# @ keyword = value`, or `# @ queue`."""
    match = STATEMENT.match(line.rstrip())
    if not match:
        return False
    name = match[1].lower()
    return name in KEYWORDS and (bool(match[3]) or name == "queue") and (not match[2] or name == "network")
