#include "runtime/core.h"

void
rt_watch_start(struct rt *rt)
{
    (void)rt;
}

void
rt_watch_stop(struct rt *rt)
{
    (void)rt;
}
