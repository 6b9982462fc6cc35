#ifndef SERVICES_GATEWAY_REST_ACTOR_H
#define SERVICES_GATEWAY_REST_ACTOR_H

#include "services/gateway/rest.h"

/* CreateActor and SpawnActor. False: the request is for something else. */
bool gate_rest_actor_new(struct gate_rest *rest);
/* rest_delete.c: DeleteActor of what is not durable, the same. */
bool gate_rest_delete(struct gate_rest *rest);
/* rest_link.c: LinkActor and UnlinkActor, the same. */
bool gate_rest_link(struct gate_rest *rest);

#endif
