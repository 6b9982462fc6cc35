#ifndef WORKFLOW_ASL_H
#define WORKFLOW_ASL_H

/* The actor type that a Lambda's name or ARN stands for: what follows its
 * last ':' (a version or alias after the name left out), first letter lower,
 * other characters than letters, digits, '_', '-' as '-'. Free with free(). */
char *flow_asl_actor_type(const char *resource);

#endif
