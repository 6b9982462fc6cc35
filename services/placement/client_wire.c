#include "services/placement/client_wire.h"

#include "common/wire.h"

#include "services/placement/table.h"

#include <string.h>

#define PB(name) Plexspaces__Placement__V1__##name

static bool
workers_out(const struct place_table *in, struct plex_arena *arena,
            PB(Table) * out)
{
    PB(WorkerRef) *refs = plex_wire_array(arena, in->n_workers, sizeof *refs);

    out->workers = plex_wire_array(arena, in->n_workers, sizeof *out->workers);
    if (refs == NULL || out->workers == NULL)
        return false;
    out->n_workers = in->n_workers;
    for (size_t i = 0; i < in->n_workers; i++) {
        plexspaces__placement__v1__worker_ref__init(&refs[i]);
        refs[i].node_id = in->workers[i].node_id;
        refs[i].url = in->workers[i].url;
        refs[i].incarnation = in->workers[i].incarnation;
        refs[i].draining = in->workers[i].draining;
        out->workers[i] = &refs[i];
    }
    return true;
}

static bool
ranges_out(const struct place_table *in, struct plex_arena *arena,
           PB(Table) * out)
{
    PB(Range) *ranges = plex_wire_array(arena, in->n_ranges, sizeof *ranges);

    out->ranges = plex_wire_array(arena, in->n_ranges, sizeof *out->ranges);
    if (ranges == NULL || out->ranges == NULL)
        return false;
    out->n_ranges = in->n_ranges;
    for (size_t i = 0; i < in->n_ranges; i++) {
        plexspaces__placement__v1__range__init(&ranges[i]);
        ranges[i].first = in->ranges[i].first;
        ranges[i].last = in->ranges[i].last;
        ranges[i].epoch = in->ranges[i].epoch;
        ranges[i].worker = in->ranges[i].worker;
        ranges[i].moving = in->ranges[i].moving;
        out->ranges[i] = &ranges[i];
    }
    return true;
}

enum plex_status
place_pb_table_out(const struct place_table *in, struct plex_arena *arena,
                   PB(Table) * *out, struct plex_err *err)
{
    PB(Table) *table = plex_wire_array(arena, 1, sizeof *table);

    if (table == NULL)
        return plex_wire_no_room(err);
    plexspaces__placement__v1__table__init(table);
    table->version = in->version;
    table->pool = in->pool;
    table->shard_bits = in->shard_bits;
    if (!workers_out(in, arena, table) || !ranges_out(in, arena, table))
        return plex_wire_no_room(err);
    *out = table;
    return PLEX_OK;
}

enum plex_status
place_pb_table_in(const PB(Table) * in, struct plex_arena *arena,
                  struct place_table **out, struct plex_err *err)
{
    struct place_worker *workers =
        plex_wire_array(arena, in->n_workers, sizeof *workers);
    struct place_range *ranges =
        plex_wire_array(arena, in->n_ranges, sizeof *ranges);
    struct place_table *table;

    if (workers == NULL || ranges == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < in->n_workers; i++)
        workers[i] = (struct place_worker){
            .node_id = in->workers[i]->node_id,
            .url = in->workers[i]->url,
            .incarnation = in->workers[i]->incarnation,
            .draining = in->workers[i]->draining,
        };
    for (size_t i = 0; i < in->n_ranges; i++)
        ranges[i] = (struct place_range){
            .first = in->ranges[i]->first,
            .last = in->ranges[i]->last,
            .epoch = in->ranges[i]->epoch,
            .worker = in->ranges[i]->worker,
            .moving = in->ranges[i]->moving,
        };
    table = place_table_make(in->pool, in->version, in->shard_bits, workers,
                             in->n_workers, ranges, in->n_ranges);
    if (place_table_check(table, err) != PLEX_OK) {
        place_table_unref(table);
        return err->status;
    }
    *out = table;
    return PLEX_OK;
}

/* -- amounts and labels ---------------------------------------------------- */

void
place_pb_amounts_out(const struct place_amounts *in, PB(Amounts) * out)
{
    plexspaces__placement__v1__amounts__init(out);
    out->cpu_millis = in->of[PLACE_CPU];
    out->memory_bytes = in->of[PLACE_MEMORY];
    out->disk_bytes = in->of[PLACE_DISK];
    out->io_bytes = in->of[PLACE_IO];
    out->network_bytes = in->of[PLACE_NETWORK];
    out->gpus = in->of[PLACE_GPU];
}

struct place_amounts
place_pb_amounts_in(const PB(Amounts) * in)
{
    return (struct place_amounts){{[PLACE_CPU] = in->cpu_millis,
                                   [PLACE_MEMORY] = in->memory_bytes,
                                   [PLACE_DISK] = in->disk_bytes,
                                   [PLACE_IO] = in->io_bytes,
                                   [PLACE_NETWORK] = in->network_bytes,
                                   [PLACE_GPU] = in->gpus}};
}

const struct place_label *
place_pb_labels_in(PB(Label) *const *in, size_t n, struct plex_arena *arena)
{
    struct place_label *labels = plex_wire_array(arena, n, sizeof *labels);

    for (size_t i = 0; labels != NULL && i < n; i++)
        labels[i] = (struct place_label){in[i]->key, in[i]->value};
    return labels;
}
