#include "lattice/declare.h"

#include "lattice/json.h"

#include <stdio.h>
#include <string.h>

static const char *const words[] = {"", "linearizable", "read_committed",
                                    "causal", "eventual"};
static const char owner[] = "lattice.", replica[] = "lattice-replica.";

enum plex_status
lattice_consistency_parse(const char *text, enum lattice_consistency *out,
                          struct plex_err *err)
{
    *out = LATTICE_LINEARIZABLE;
    if (text[0] == '\0')
        return PLEX_OK;
    for (int i = LATTICE_LINEARIZABLE; i <= LATTICE_EVENTUAL; i++)
        if (strcmp(text, words[i]) == 0) {
            *out = (enum lattice_consistency)i;
            return PLEX_OK;
        }
    return plex_err_set(err, PLEX_INVALID,
                        "consistency \"%.40s\" is none of linearizable, "
                        "read_committed, causal and eventual",
                        text);
}

static void
replace(char *text, char from, char to)
{
    for (; *text != '\0'; text++)
        if (*text == from)
            *text = to;
}

enum plex_status
lattice_declare(const char *kind, const char *consistency, const char *kept_in,
                struct lattice_declared *out, struct plex_err *err)
{
    if (kept_in == NULL)
        kept_in = "";
    if (lattice_consistency_parse(consistency == NULL ? "" : consistency,
                                  &out->consistency, err) != PLEX_OK)
        return err->status;
    if (kind == NULL)
        return plex_err_set(err, PLEX_INVALID,
                            "kind is missing; give one like g_counter or "
                            "map/or_set");
    if (lattice_kinds_check(kind, err) != PLEX_OK)
        return err->status;
    if (strlen(kind) > LATTICE_KINDS_MAX - 80)
        return plex_err_set(err, PLEX_INVALID,
                            "kind is %zu bytes long, at most %d", strlen(kind),
                            LATTICE_KINDS_MAX - 80);
    if (strlen(kept_in) > LATTICE_KEPT_MAX / 4)
        return plex_err_set(err, PLEX_INVALID,
                            "kept_in is %zu bytes long, at most %d",
                            strlen(kept_in), LATTICE_KEPT_MAX / 4);
    if (out->consistency == LATTICE_LINEARIZABLE && kept_in[0] != '\0')
        return plex_err_set(err, PLEX_INVALID,
                            "kept_in means nothing here: a linearizable cell "
                            "has its one owner, which keeps it");
    if (out->consistency == LATTICE_READ_COMMITTED && kept_in[0] == '\0')
        return plex_err_set(err, PLEX_INVALID,
                            "kept_in is missing: read_committed needs a "
                            "linearizable type whose owners keep the cells");
    (void)snprintf(out->kinds, sizeof out->kinds, "%s", kind);
    (void)snprintf(out->kept_in, sizeof out->kept_in, "%s", kept_in);
    return PLEX_OK;
}

void
lattice_declared_name(const struct lattice_declared *declared,
                      char out[LATTICE_NAME_MAX])
{
    char kinds[sizeof declared->kinds];

    (void)snprintf(kinds, sizeof kinds, "%s", declared->kinds);
    replace(kinds, '/', '.');
    if (declared->consistency == LATTICE_LINEARIZABLE)
        (void)snprintf(out, LATTICE_NAME_MAX, "%s%s", owner, kinds);
    else
        (void)snprintf(out, LATTICE_NAME_MAX, "%s%s.%s.%s", replica,
                       words[declared->consistency],
                       declared->kept_in[0] == '\0' ? "-" : declared->kept_in,
                       kinds);
}

enum plex_status
lattice_declared_parse(const char *name, struct lattice_declared *out,
                       struct plex_err *err)
{
    char copy[LATTICE_NAME_MAX], *at = copy, *parts[2] = {NULL, NULL};
    const bool is_replica = strncmp(name, replica, sizeof replica - 1) == 0;

    if (!is_replica && strncmp(name, owner, sizeof owner - 1) != 0)
        return plex_err_set(err, PLEX_NOT_FOUND, "\"%.40s\" is no lattice",
                            name);
    (void)snprintf(copy, sizeof copy, "%s",
                   name + (is_replica ? sizeof replica - 1 : sizeof owner - 1));
    for (int i = 0; is_replica && i < 2; i++) {
        parts[i] = at;
        at = strchr(at, '.');
        if (at == NULL)
            return plex_err_set(err, PLEX_INVALID,
                                "\"%.80s\" must be like "
                                "lattice-replica.eventual.-.g_counter",
                                name);
        *at++ = '\0';
    }
    replace(at, '.', '/');
    if (is_replica && strcmp(parts[1], "-") == 0)
        parts[1] = NULL;
    return lattice_declare(at, parts[0], parts[1], out, err);
}
