#ifndef SERVICES_GATEWAY_OPENAPI_H
#define SERVICES_GATEWAY_OPENAPI_H

/* The OpenAPI 3.1 document of everything served, from the route table and the
 * descriptors of its messages. The caller frees it. */
char *gate_openapi_text(void);

#endif
