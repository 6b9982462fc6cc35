#ifndef SERVICES_WORKER_CORE_ROOM_H
#define SERVICES_WORKER_CORE_ROOM_H

#include "services/worker/core.h"

/* Who may come into memory: shared by the core's own files only. */
/* What activations reserve. */
struct room {
    struct work_needs max, reserved;
    char why[256]; /* of work_room_why() */
};
struct type;

/* core_type.c */
/* May one more actor of the type come into memory? Makes room if need be. */
bool work_type_admits(struct work_core *core, struct type *type);
/* Who is to make room; NULL when nobody is idle. */
struct actor *work_type_victim(const struct type *type);
void work_types_shrink(struct work_core *core);

/* core_room.c */
/* May one more of the type come in? Makes room for it. */
bool work_room_admits(struct work_core *core, struct type *type);
void work_room_take(struct work_core *core, const struct type *type);
void work_room_give(struct work_core *core, const struct type *type);
void work_room_changed(struct work_core *core, const struct type *type,
                       const struct work_needs *old);
/* Why it may not, until the next call; NULL: there is room. */
const char *work_room_why(struct work_core *core, const struct type *type);

#endif
