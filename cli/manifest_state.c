#include "cli/manifest_state.h"

#include "lattice/declare.h"

#include <string.h>

/* Calls that wait for the replica on one worker. */
enum { WAITING_MAX = 64 };

static const char *
text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static enum plex_status
alone(const json_t *type, struct plex_err *err)
{
    static const char *const decided[] = {"module",  "behaviour", "virtual",
                                          "durable", "pool",      "stateless"};

    for (size_t i = 0; i < sizeof decided / sizeof *decided; i++)
        if (json_object_get(type, decided[i]) != NULL)
            return plex_err_set(err, PLEX_INVALID,
                                "%s means nothing beside state.mode lattice: "
                                "leave it out",
                                decided[i]);
    return PLEX_OK;
}

enum plex_status
manifest_state(json_t *type, struct plex_err *err)
{
    const json_t *state = json_object_get(type, "state");
    const char *mode = text_of(state, "mode");
    struct lattice_declared declared;
    char name[LATTICE_NAME_MAX];
    enum plex_status status;

    if (mode != NULL && strcmp(mode, "lattice") == 0) {
        status = lattice_declare(text_of(state, "kind"),
                                 text_of(state, "consistency"),
                                 text_of(state, "kept_in"), &declared, err);
        if (status != PLEX_OK || alone(type, err) != PLEX_OK)
            return err->status;
        lattice_declared_name(&declared, name);
        json_object_set_new(type, "module", json_string("builtin"));
        json_object_set_new(type, "behaviour", json_string(name));
        json_object_set_new(type, "virtual", json_true());
        if (declared.consistency == LATTICE_LINEARIZABLE)
            json_object_set_new(type, "durable", json_true());
        else
            json_object_set_new(type, "stateless",
                                json_pack("{s:i}", "max_local", WAITING_MAX));
    } else if (mode != NULL && (strcmp(mode, "traditional") != 0 ||
                                json_object_size(state) > 1)) {
        return plex_err_set(err, PLEX_INVALID,
                            "state.mode is \"%.40s\": it must be traditional, "
                            "with nothing beside it, or lattice",
                            mode);
    }
    if (json_object_get(type, "module") == NULL)
        return plex_err_set(err, PLEX_INVALID, "missing key module");
    json_object_del(type, "state");
    return PLEX_OK;
}

/* The declaration of the type of that name; false: it has none. */
static bool
declared_of(const json_t *types, const char *name, struct lattice_declared *out)
{
    struct plex_err err;
    size_t i;
    json_t *type;

    json_array_foreach((json_t *)(uintptr_t)types, i, type)
    {
        const char *behaviour = text_of(type, "behaviour");

        if (strcmp(text_of(type, "name"), name) == 0)
            return behaviour != NULL &&
                   lattice_declared_parse(behaviour, out, &err) == PLEX_OK;
    }
    return false;
}

enum plex_status
manifest_kept(const json_t *manifest, struct plex_err *err)
{
    const json_t *types = json_object_get(manifest, "actor_types");
    size_t i;
    json_t *type;

    json_array_foreach((json_t *)(uintptr_t)types, i, type)
    {
        struct lattice_declared own, keeper;
        const char *name = text_of(type, "name");

        if (!declared_of(types, name, &own) || own.kept_in[0] == '\0')
            continue;
        if (!declared_of(types, own.kept_in, &keeper) ||
            keeper.consistency != LATTICE_LINEARIZABLE)
            return plex_err_set(err, PLEX_INVALID,
                                "%.100s is kept in \"%.100s\", which is no "
                                "linearizable lattice of this manifest",
                                name, own.kept_in);
        if (strcmp(own.kinds, keeper.kinds) != 0)
            return plex_err_set(err, PLEX_INVALID,
                                "%.80s is a %.50s, and %.80s, which keeps it, "
                                "a %.50s",
                                name, own.kinds, own.kept_in, keeper.kinds);
    }
    return PLEX_OK;
}
