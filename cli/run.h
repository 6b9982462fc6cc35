#ifndef CLI_RUN_H
#define CLI_RUN_H

#include "cli/cli.h"

/* Runs that wait (run.c) and workflows (workflow.c): docs/durable.md,
 * docs/workflows.md. */
typedef int cli_run_fn(const struct cli *cli, const struct cli_args *args,
                       const void *config);

/* TYPE/KEY, NAMESPACE/TYPE/KEY or TENANT/NAMESPACE/TYPE/KEY, in full. */
void cli_run_name(const char *text, char *out, size_t size);

cli_run_fn cli_why, cli_run_signal, cli_run_cancel, cli_run_resume;
cli_run_fn cli_run_query, cli_run_update;
cli_run_fn cli_promise_resolve, cli_promise_reject;
cli_run_fn cli_workflow_enable, cli_workflow_deploy, cli_workflow_import;
cli_run_fn cli_workflow_definitions, cli_workflow_delete, cli_workflow_start;
cli_run_fn cli_workflow_list, cli_workflow_status, cli_workflow_wait;
cli_run_fn cli_workflow_history, cli_workflow_remove, cli_workflow_retention;
cli_run_fn cli_workflow_signal, cli_workflow_cancel, cli_workflow_pause,
    cli_workflow_resume, cli_workflow_terminate, cli_workflow_reset,
    cli_workflow_update, cli_workflow_approve, cli_workflow_query,
    cli_workflow_steps, cli_workflow_why, cli_workflow_fork, cli_workflow_move;
cli_run_fn cli_schedule_create, cli_schedule_list, cli_schedule_get,
    cli_schedule_delete, cli_schedule_pause, cli_schedule_resume,
    cli_schedule_trigger, cli_schedule_backfill;

extern const struct plex_option cli_run_update_options[];
extern const struct plex_option cli_schedule_options[];
extern const struct plex_option cli_schedule_create_options[];
extern const struct plex_option cli_workflow_options[];
extern const struct plex_option cli_workflow_deploy_options[];
extern const struct plex_option cli_workflow_import_options[];
extern const struct plex_option cli_workflow_start_options[];
extern const struct plex_option cli_workflow_list_options[];
extern const struct plex_option cli_workflow_approve_options[];
extern const struct plex_option cli_workflow_definitions_options[];
extern const struct plex_option cli_workflow_fork_options[];
extern const struct plex_option cli_workflow_retention_options[];

/* Rows of the table of commands. */
// clang-format off
#define CLI_RUN_COMMANDS \
    {"", "why", "ID", 1, 1, \
     "what an actor, a run, a message, a promise, a workflow or a schedule " \
     "waits for, since when, and which command would help", NULL, \
     cli_why}, \
    {"run", "signal", "ACTOR NAME [JSON]", 2, 3, "to a run that waits", NULL, \
     cli_run_signal}, \
    {"run", "query", "ACTOR NAME [JSON]", 2, 3, \
     "ask a run that waits; changes nothing", NULL, cli_run_query}, \
    {"run", "update", "ACTOR NAME [JSON]", 2, 3, \
     "what a run that waits does, once, and answers", cli_run_update_options, \
     cli_run_update}, \
    {"run", "cancel", "ACTOR", 1, 1, "a run that waits", NULL, \
     cli_run_cancel}, \
    {"run", "resume", "ACTOR", 1, 1, "a run that is parked", NULL, \
     cli_run_resume}, \
    {"promise", "resolve", "ID [JSON]", 1, 2, "keep a promise", NULL, \
     cli_promise_resolve}, \
    {"promise", "reject", "ID [JSON]", 1, 2, "say that it is not kept", NULL, \
     cli_promise_reject}, \
    {"workflow", "enable", "", 0, 0, "let a namespace run workflows", \
     cli_workflow_options, cli_workflow_enable}, \
    {"workflow", "deploy", "FILE", 1, 1, "add a definition, YAML or JSON", \
     cli_workflow_deploy_options, cli_workflow_deploy}, \
    {"workflow", "import", "", 0, 0, \
     "add a state machine of the Amazon States Language", \
     cli_workflow_import_options, cli_workflow_import}, \
    {"workflow", "definitions", "[PREFIX]", 0, 1, "what there is", \
     cli_workflow_definitions_options, cli_workflow_definitions}, \
    {"workflow", "delete", "DEFINITION [VERSION]", 1, 2, \
     "one version of a definition, or all; runs keep theirs", \
     cli_workflow_options, cli_workflow_delete}, \
    {"workflow", "start", "DEFINITION [JSON]", 1, 2, \
     "begin an execution with that input", cli_workflow_start_options, \
     cli_workflow_start}, \
    {"workflow", "list", "", 0, 0, "executions", cli_workflow_list_options, \
     cli_workflow_list}, \
    {"workflow", "status", "EXECUTION", 1, 1, "one execution", \
     cli_workflow_options, cli_workflow_status}, \
    {"workflow", "wait", "EXECUTION", 1, 1, \
     "until it has ended; exits 1 unless it completed", cli_workflow_options, \
     cli_workflow_wait}, \
    {"workflow", "remove", "EXECUTION", 1, 1, \
     "forget it; one under way is terminated first", cli_workflow_options, \
     cli_workflow_remove}, \
    {"workflow", "retention", "", 0, 0, \
     "how long ended executions are kept", cli_workflow_retention_options, \
     cli_workflow_retention}, \
    {"workflow", "history", "EXECUTION", 1, 1, "what happened in it", \
     cli_workflow_options, cli_workflow_history}, \
    {"workflow", "signal", "EXECUTION NAME [JSON]", 2, 3, "hand it a signal", \
     cli_workflow_options, cli_workflow_signal}, \
    {"workflow", "cancel", "EXECUTION [REASON]", 1, 2, "stop it and undo what it did", \
     cli_workflow_options, cli_workflow_cancel}, \
    {"workflow", "pause", "EXECUTION", 1, 1, "begin nothing new", \
     cli_workflow_options, cli_workflow_pause}, \
    {"workflow", "resume", "EXECUTION", 1, 1, "after a pause, or when it was parked", \
     cli_workflow_options, cli_workflow_resume}, \
    {"workflow", "terminate", "EXECUTION [REASON]", 1, 2, "stop it at once, undoing nothing", \
     cli_workflow_options, cli_workflow_terminate}, \
    {"workflow", "reset", "EXECUTION STEP", 2, 2, "go back to a step and on from there", \
     cli_workflow_options, cli_workflow_reset}, \
    {"workflow", "fork", "EXECUTION STEP", 2, 2, \
     "begin another that has done what came before the step", \
     cli_workflow_fork_options, cli_workflow_fork}, \
    {"workflow", "move", "EXECUTION [VERSION]", 1, 2, \
     "go on with another version of the definition", cli_workflow_options, \
     cli_workflow_move}, \
    {"workflow", "update", "EXECUTION NAME [JSON]", 2, 3, "change a variable, as its rule allows", \
     cli_workflow_options, cli_workflow_update}, \
    {"workflow", "approve", "EXECUTION STEP", 2, 2, "answer a step that asks a person", \
     cli_workflow_approve_options, cli_workflow_approve}, \
    {"workflow", "query", "EXECUTION NAME", 2, 2, "ask its definition's query", \
     cli_workflow_options, cli_workflow_query}, \
    {"workflow", "steps", "EXECUTION", 1, 1, "its steps and how they are", \
     cli_workflow_options, cli_workflow_steps}, \
    {"workflow", "why", "EXECUTION", 1, 1, "what it waits for, and what would help", \
     cli_workflow_options, cli_workflow_why}, \
    {"schedule", "create", "SCHEDULE", 1, 1, \
     "do something again and again, or once", cli_schedule_create_options, \
     cli_schedule_create}, \
    {"schedule", "list", "[PREFIX]", 0, 1, "what there is", \
     cli_schedule_options, cli_schedule_list}, \
    {"schedule", "get", "SCHEDULE", 1, 1, "one, and when it is due", \
     cli_schedule_options, cli_schedule_get}, \
    {"schedule", "pause", "SCHEDULE [REASON]", 1, 2, "let nothing be due", \
     cli_schedule_options, cli_schedule_pause}, \
    {"schedule", "resume", "SCHEDULE", 1, 1, "after a pause", \
     cli_schedule_options, cli_schedule_resume}, \
    {"schedule", "trigger", "SCHEDULE", 1, 1, "once more, now", \
     cli_schedule_options, cli_schedule_trigger}, \
    {"schedule", "backfill", "SCHEDULE FROM TO", 3, 3, \
     "what would have been due between two times", cli_schedule_options, \
     cli_schedule_backfill}, \
    {"schedule", "delete", "SCHEDULE", 1, 1, "what has begun goes on", \
     cli_schedule_options, cli_schedule_delete}
// clang-format on

#endif
