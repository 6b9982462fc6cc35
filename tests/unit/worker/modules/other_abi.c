#include <plexspaces/actor.h>

extern const struct plex_module plex_module;
const struct plex_module plex_module
    __attribute__((visibility("default"))) = {PLEX_ABI + 1, NULL};
