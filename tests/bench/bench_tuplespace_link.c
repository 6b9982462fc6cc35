/*
 * The tuple space over a link: writes and takes by an exact template, several
 * in flight, for each store; and how long a blocked take needs to be woken.
 * Registry, tuple space and client are threads of this process.
 *
 *   bench_tuplespace_link [--seconds S] [--tuples N] [--namespaces N] [DSN...]
 */
#include "common/link.h"
#include "common/mem.h"
#include "services/registry/service.h"
#include "services/tuplespace/service.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "plexspaces/tuplespace/v1/tuplespace.pb-c.h"

#define PB(name) Plexspaces__Tuplespace__V1__##name
enum { WRITE = 801, TAKE = 803, SAMPLES_MAX = 1 << 22, PACKED_MAX = 512 };

struct client {
    struct plex_loop *loop;
    struct plex_link *link;
    struct plex_timer *timer;
    char peer[96];
    unsigned pending, opened;
    bool over;
    uint64_t done, failed, empty;
    uint32_t *samples; /* ns */
    size_t n_samples;
    uint64_t next_key, to_fill;
    uint64_t give_up;
    uint64_t of; /* the key of the next call: it chooses the namespace */
};

struct slot {
    struct client *client;
    uint64_t key;
    bool taking;
    uint64_t started;
};

static char base[64];
static uint64_t namespaces = 1;

/* -- requests ----------------------------------------------------------------
 */

static void
set_text(PB(Field) * field, char *text)
{
    plexspaces__tuplespace__v1__field__init(field);
    field->value_case = PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_STRING;
    field->string = text;
}

static void
set_int(PB(Field) * field, int64_t value)
{
    plexspaces__tuplespace__v1__field__init(field);
    field->value_case = PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_INT;
    field->int_ = value;
}

/* ["order", key, "pending", 1.5] */
static size_t
pack_write(uint64_t key, uint8_t out[PACKED_MAX])
{
    static char space[] = "bench", order[] = "order", pending[] = "pending";
    PB(WriteRequest) request = PLEXSPACES__TUPLESPACE__V1__WRITE_REQUEST__INIT;
    PB(Tuple) tuple = PLEXSPACES__TUPLESPACE__V1__TUPLE__INIT;
    PB(Tuple) * tuples[] = {&tuple};
    PB(Field) fields[4];
    PB(Field) * list[] = {&fields[0], &fields[1], &fields[2], &fields[3]};

    set_text(&fields[0], order);
    set_int(&fields[1], (int64_t)key);
    set_text(&fields[2], pending);
    plexspaces__tuplespace__v1__field__init(&fields[3]);
    fields[3].value_case = PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_FLOAT;
    fields[3].float_ = 1.5;
    tuple.n_fields = 4;
    tuple.fields = list;
    request.space = space;
    request.n_tuples = 1;
    request.tuples = tuples;
    return plexspaces__tuplespace__v1__write_request__pack(&request, out);
}

/* ["order", key, any, any] */
static size_t
pack_take(uint64_t key, uint64_t timeout_ms, uint8_t out[PACKED_MAX])
{
    static char space[] = "bench", order[] = "order";
    PB(ReadRequest) request = PLEXSPACES__TUPLESPACE__V1__READ_REQUEST__INIT;
    PB(Template) template = PLEXSPACES__TUPLESPACE__V1__TEMPLATE__INIT;
    PB(Pattern) any = PLEXSPACES__TUPLESPACE__V1__PATTERN__INIT;
    PB(Pattern) first = any, second = any;
    PB(Pattern) * list[] = {&first, &second, &any, &any};
    PB(Field) name, number;

    set_text(&name, order);
    set_int(&number, (int64_t)key);
    first.kind_case = PLEXSPACES__TUPLESPACE__V1__PATTERN__KIND_EXACT;
    first.exact = &name;
    second.kind_case = PLEXSPACES__TUPLESPACE__V1__PATTERN__KIND_EXACT;
    second.exact = &number;
    template.n_fields = 4;
    template.fields = list;
    request.space = space;
    request.template_ = &template;
    request.timeout_ms = timeout_ms;
    return plexspaces__tuplespace__v1__read_request__pack(&request, out);
}

static void
call(struct client *client, uint32_t method, const uint8_t *payload, size_t len,
     plex_link_fn done, void *arg)
{
    struct plex_context context = plex_context_none;
    char ns[24];
    const struct plex_link_request request = {
        .peer = client->peer,
        .method = method,
        .context = &context,
        .payload = {payload, len},
        .done = done,
        .arg = arg,
    };

    context.tenant = "default";
    (void)snprintf(ns, sizeof ns, "n%llu",
                   (unsigned long long)(client->of % namespaces));
    context.ns = ns;
    client->pending++;
    (void)plex_link_call(client->link, &request);
}

/* -- who owns what ----------------------------------------------------------
 */

static void on_probed(void *arg, const struct plex_link_result *result);

/* A tuple that nobody wrote: asked for until the owner of its shard answers. */
static void
probe(struct client *client)
{
    uint8_t packed[PACKED_MAX];

    call(client, TAKE, packed, pack_take(0, 0, packed), on_probed, client);
}

static void
on_probed(void *arg, const struct plex_link_result *result)
{
    struct client *client = arg;

    client->pending--;
    if (result->status == PLEX_OK && ++client->of == namespaces) {
        plex_loop_quit(client->loop);
        return;
    }
    if (plex_now() > client->give_up) {
        (void)fprintf(stderr, "no owner within 10 s: %s\n", result->text);
        exit(1);
    }
    probe(client);
}

/* Until the registry has said which shards are here. */
static void
wait_owners(struct client *client)
{
    client->of = 0;
    client->give_up = plex_now() + UINT64_C(10000000000);
    probe(client);
    plex_loop_run(client->loop);
}

/* -- throughput: each slot writes a tuple and takes it -----------------------
 */

static void answered(void *arg, const struct plex_link_result *result);

static void
next(struct slot *slot)
{
    uint8_t packed[PACKED_MAX];
    size_t len;

    slot->started = plex_now();
    if (!slot->taking)
        slot->key = slot->client->next_key++;
    slot->client->of = slot->key;
    len = slot->taking ? pack_take(slot->key, 0, packed)
                       : pack_write(slot->key, packed);
    call(slot->client, slot->taking ? TAKE : WRITE, packed, len, answered,
         slot);
}

static void
answered(void *arg, const struct plex_link_result *result)
{
    struct slot *slot = arg;
    struct client *client = slot->client;

    client->pending--;
    client->done++;
    client->failed += result->status != PLEX_OK;
    client->empty += result->payload.len == 0;
    if (client->n_samples < SAMPLES_MAX)
        client->samples[client->n_samples++] =
            (uint32_t)(plex_now() - slot->started);
    slot->taking = !slot->taking;
    if (!client->over || slot->taking)
        next(slot);
    else if (client->pending == 0)
        plex_loop_quit(client->loop);
}

static void
time_over(void *arg)
{
    ((struct client *)arg)->over = true;
}

static int
by_value(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static double
cpu_us(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void
print_row(struct client *client, const char *store, const char *what,
          unsigned window, double wall_s, double cpu)
{
    qsort(client->samples, client->n_samples, sizeof *client->samples,
          by_value);
    printf("%-9.*s %-12s %9u %10.0f %11.2f %9.1f %9.1f %7llu\n",
           (int)strcspn(store, ":"), store, what, window,
           (double)client->done / wall_s, cpu / (double)client->done,
           client->samples[client->n_samples / 2] / 1e3,
           client->samples[client->n_samples * 99 / 100] / 1e3,
           (unsigned long long)(client->failed + client->empty));
    (void)fflush(stdout);
}

static void
measure(struct client *client, const char *store, unsigned window,
        double seconds)
{
    struct slot *slots = plex_calloc(window, sizeof *slots);
    double cpu = cpu_us(), wall = (double)plex_now();

    client->over = false;
    client->done = client->failed = client->empty = 0;
    client->n_samples = 0;
    plex_timer_start(client->timer, (uint64_t)(seconds * 1000));
    for (unsigned i = 0; i < window; i++) {
        slots[i].client = client;
        next(&slots[i]);
    }
    plex_loop_run(client->loop);
    cpu = cpu_us() - cpu;
    wall = ((double)plex_now() - wall) / 1e9;
    print_row(client, store, "write+take", window, wall, cpu);
    free(slots);
}

/* -- waking: one take waits, a write comes -----------------------------------
 */

static void
on_written(void *arg, const struct plex_link_result *result)
{
    struct client *client = arg;

    client->pending--;
    client->failed += result->status != PLEX_OK;
}

static void wake(struct client *client);

static void
on_woken(void *arg, const struct plex_link_result *result)
{
    struct slot *slot = arg;
    struct client *client = slot->client;

    client->pending--;
    client->done++;
    client->failed += result->status != PLEX_OK;
    client->empty += result->payload.len == 0;
    client->samples[client->n_samples++] =
        (uint32_t)(plex_now() - slot->started);
    free(slot);
    if (client->over || client->n_samples == SAMPLES_MAX)
        plex_loop_quit(client->loop);
    else
        wake(client);
}

/* The write leaves when the take has surely arrived: both go the same way. */
static void
wake(struct client *client)
{
    struct slot *slot = plex_calloc(1, sizeof *slot);
    uint8_t packed[PACKED_MAX];

    slot->client = client;
    slot->key = client->next_key++;
    call(client, TAKE, packed, pack_take(slot->key, 60000, packed), on_woken,
         slot);
    slot->started = plex_now();
    call(client, WRITE, packed, pack_write(slot->key, packed), on_written,
         client);
}

static void
measure_wake(struct client *client, const char *store, double seconds)
{
    double cpu = cpu_us(), wall = (double)plex_now();

    client->over = false;
    client->done = client->failed = client->empty = 0;
    client->n_samples = 0;
    plex_timer_start(client->timer, (uint64_t)(seconds * 1000));
    wake(client);
    plex_loop_run(client->loop);
    print_row(client, store, "woken take", 1, ((double)plex_now() - wall) / 1e9,
              cpu_us() - cpu);
}

/* -- tuples that are in the way ----------------------------------------------
 */

static void fill_one(struct client *client);

static void
on_filled(void *arg, const struct plex_link_result *result)
{
    struct client *client = arg;

    client->pending--;
    client->failed += result->status != PLEX_OK;
    if (client->to_fill > 0)
        fill_one(client);
    else if (client->pending == 0)
        plex_loop_quit(client->loop);
}

static void
fill_one(struct client *client)
{
    uint8_t packed[PACKED_MAX];
    const uint64_t key = 1ull << 40 | client->to_fill--;

    call(client, WRITE, packed, pack_write(key, packed), on_filled, client);
}

static void
fill(struct client *client, uint64_t tuples)
{
    client->to_fill = tuples;
    for (int i = 0; i < 256 && client->to_fill > 0; i++)
        fill_one(client);
    if (client->pending > 0)
        plex_loop_run(client->loop);
}

/* -- one store ---------------------------------------------------------------
 */

static void
must(enum plex_status status, const struct plex_err *err)
{
    if (status == PLEX_OK)
        return;
    (void)fprintf(stderr, "bench_tuplespace_link: %s\n", err->text);
    exit(1);
}

static void
client_open(struct client *client)
{
    const struct plex_method none[] = {{0}};
    char url[96];
    const struct plex_link_config config = {.listen_url = url, .methods = none};
    struct plex_err err;

    (void)snprintf(url, sizeof url, "%s-client-%u", base, ++client->opened);
    must(plex_loop_create(&client->loop, &err), &err);
    must(plex_link_open(&client->link, client->loop, &config, &err), &err);
    client->timer = plex_timer_create(client->loop, time_over, client);
    client->samples = plex_calloc(SAMPLES_MAX, sizeof *client->samples);
}

static void
client_close(struct client *client)
{
    plex_timer_free(client->timer);
    plex_link_close(client->link);
    plex_loop_free(client->loop);
    free(client->samples);
}

static void
run(const char *dsn, uint64_t tuples, double seconds)
{
    static const unsigned windows[] = {1, 16, 64, 256};
    struct plex_instance *registry, *tuplespace;
    char registry_url[96], url[96];
    const struct plex_setting reg[] = {{"listen_url", registry_url},
                                       {"admin_addr", ""},
                                       {"store_dsn", "mem:"},
                                       {"log_level", "error"},
                                       {0}};
    const struct plex_setting given[] = {
        {"listen_url", url}, {"registry_url", registry_url}, {"admin_addr", ""},
        {"store_dsn", dsn},  {"log_level", "error"},         {0}};
    struct client client = {0};
    struct plex_err err;

    (void)snprintf(registry_url, sizeof registry_url, "%s-registry", base);
    (void)snprintf(url, sizeof url, "%s-tuplespace", base);
    must(plex_instance_start(&registry, &reg_service, reg, &err), &err);
    must(plex_instance_start(&tuplespace, &tspace_service, given, &err), &err);
    (void)plex_instance_wait_ready(tuplespace, 10000);
    (void)snprintf(client.peer, sizeof client.peer, "%s", url);
    client.next_key = 1;
    /* A loop that was ended does not run again: one for each phase. */
    client_open(&client);
    wait_owners(&client);
    client_close(&client);
    client_open(&client);
    fill(&client, tuples);
    client_close(&client);
    for (size_t w = 0; w < sizeof windows / sizeof windows[0]; w++) {
        client_open(&client);
        measure(&client, dsn, windows[w], seconds);
        client_close(&client);
    }
    client_open(&client);
    measure_wake(&client, dsn, seconds);
    client_close(&client);
    plex_instance_stop(tuplespace);
    plex_instance_stop(registry);
}

int
main(int argc, char **argv)
{
    double seconds = 1.0;
    uint64_t tuples = 0;
    char sqlite[96];
    int i = 1;

    (void)snprintf(base, sizeof base, "ipc:///tmp/bench-tspace-%d",
                   (int)getpid());
    (void)snprintf(sqlite, sizeof sqlite, "sqlite:/tmp/bench-tspace-%d.db",
                   (int)getpid());
    for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
        if (strcmp(argv[i], "--seconds") == 0)
            seconds = atof(argv[i + 1]);
        else if (strcmp(argv[i], "--tuples") == 0)
            tuples = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--namespaces") == 0)
            namespaces = strtoull(argv[i + 1], NULL, 10);
    }
    if (namespaces == 0)
        namespaces = 1;
    printf("%-9s %-12s %9s %10s %11s %9s %9s %7s\n", "store", "what",
           "in flight", "ops/s", "us CPU/op", "p50 us", "p99 us", "wrong");
    for (int first = i; i < argc || i == first; i++) {
        if (i < argc) {
            run(argv[i], tuples, seconds);
            continue;
        }
        run("mem:", tuples, seconds);
        run(sqlite, tuples, seconds);
    }
    for (const char *const *end =
             (const char *const[]){"", "-wal", "-shm", NULL};
         *end != NULL; end++) {
        char path[128];

        (void)snprintf(path, sizeof path, "%s%s", sqlite + 7, *end);
        (void)unlink(path);
    }
    return 0;
}
