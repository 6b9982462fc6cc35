#ifndef SERVICES_TUPLESPACE_CLIENT_H
#define SERVICES_TUPLESPACE_CLIENT_H

#include "common/json_pb.h"
#include "services/registry/client.h"

/*
 * What others may know of plex-tuplespace: the JSON form of its messages
 * (docs/tuplespace.md), for the gateway and the command line.
 *
 * A tuple is a list: ["order", 12, true, null, 1.5]. {"bytes": "base64"},
 * {"tuple": [...]}, {"int": "9223372036854775807"} and {"float": "Infinity"}
 * are values that JSON has no way to write. In a template a plain value is
 * exact, and an object is a matcher: {"any": true}, {"type": "int64"},
 * {"gt": 1, "lte": 9}, {"prefix": "a"}, {"suffix": ...}, {"contains": ...},
 * {"regex": "^a"}, {"in": [1, 2]}, {"not": ...}, {"bind": "x"}, {"all": [...]};
 * several members must all match.
 */
extern const struct plex_json_form tspace_json_form;

/*
 * Templates and tuples as people type them, as JSON: ["order", ?, >100, "x"].
 * Beside JSON's values: ? is any, ?name binds, ?int64 (or another type) is a
 * type, > >= < <= ! before a value, "a"* and *"a" are prefix and suffix, *"a"*
 * contains, ~"..." is a regular expression. A new reference, or NULL:
 * PLEX_INVALID says where.
 */
json_t *tspace_text_template(const char *text, struct plex_err *err);

/*
 * Several tuple spaces over one store share the namespaces: each belongs to a
 * shard, and each shard to one of them, as the catalogue has them. The owner
 * as computed here may not know it yet, or not any more: it answers NOT_OWNER,
 * and the caller tries again with its newest catalogue.
 */
enum { TSPACE_SHARDS = 16 };
uint32_t tspace_client_shard(const char *tenant, const char *ns);
/* NULL: there is none. Borrowed from the catalogue, which may be NULL. */
const struct reg_node *tspace_client_owner(const struct reg_catalog *catalog,
                                           uint32_t shard);
/* The link of the owner of a namespace, NULL when there is none. */
const char *tspace_client_url(const struct reg_catalog *catalog,
                              const char *tenant, const char *ns);

#endif
