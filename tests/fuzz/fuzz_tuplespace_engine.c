/*
 * What the tuple space's engine decodes: packed tuples, templates, stored
 * records. The first byte chooses: 0 a tuple, 1 a template (and every tuple
 * fits or not), else one record of that kind less 1 after one tuple.
 */
#include "services/tuplespace/engine/action.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
fuzz_tuple(struct plex_bytes in)
{
    struct tspace_template *exactly;
    struct tspace_value value;
    struct plex_err err;
    bool gave_up = false;

    if (tspace_packed_check(in, &err) != PLEX_OK)
        return;
    for (uint32_t i = 0; i < tspace_packed_fields(in.data); i++) {
        tspace_packed_get(in.data, i, &value);
        if (tspace_value_compare(&value, &value) != 0 ||
            !tspace_value_equal(&value, &value))
            abort();
        (void)tspace_value_hash(&value, 1);
        (void)tspace_value_key(&value);
    }
    exactly = tspace_template_exactly(in.data);
    if (!tspace_template_match(exactly, in.data, &gave_up))
        abort();
    tspace_template_unref(exactly);
}

static struct plex_buf
some_tuple(void)
{
    const struct tspace_value values[] = {
        {.type = TSPACE_STRING, .bytes = {(const uint8_t *)"abc", 3}},
        {.type = TSPACE_INTEGER, .integer = 7},
    };
    struct plex_buf out = {.max = 1000};
    struct plex_err err;

    if (tspace_pack(values, 2, &out, &err) != PLEX_OK)
        abort();
    return out;
}

static void
fuzz_template(struct plex_bytes in)
{
    struct plex_buf packed = some_tuple(), out = {.max = 8 << 20};
    struct tspace_template *template, *again;
    struct plex_err err;
    bool gave_up = false;

    if (tspace_template_unpack(&template, in, &err) == PLEX_OK) {
        const bool fits =
            tspace_template_match(template, packed.data, &gave_up);

        if (tspace_template_pack(template, &out, &err) != PLEX_OK ||
            tspace_template_unpack(&again,
                                   (struct plex_bytes){out.data, out.len},
                                   &err) != PLEX_OK ||
            tspace_template_match(again, packed.data, &gave_up) != fits)
            abort();
        tspace_template_unref(again);
        tspace_template_unref(template);
    }
    plex_buf_free(&out);
    plex_buf_free(&packed);
}

static void
fuzz_record(enum tspace_record record, struct plex_bytes in)
{
    static const struct tspace_where where = {"t", "n", "s"};
    static const struct tspace_now now = {1, 1};
    static const struct tspace_config config = {
        .epoch = 2, .waiters_max = 10, .requests_max = 10};
    static const uint8_t id[8] = {0, 0, 0, 0, 0, 0, 0, 9};
    struct tspace_core *core = tspace_core_create(&config);
    struct plex_buf packed = some_tuple(), body = {.max = 2000};
    struct tspace_action action;
    struct plex_err err;
    uint8_t *at = plex_buf_grow(&body, 16 + packed.len);
    const size_t key_len = in.len > 0 ? in.data[0] % 24 : 0;

    for (size_t i = 0; i < 16 + packed.len; i++)
        at[i] = i < 16 ? 0 : packed.data[i - 16];
    if (in.len > key_len &&
        tspace_core_restore(
            core, &where, TSPACE_RECORD_TUPLE, (struct plex_bytes){id, 8},
            (struct plex_bytes){body.data, body.len}, &err) == PLEX_OK &&
        tspace_core_restore(
            core, &where, record, (struct plex_bytes){in.data + 1, key_len},
            (struct plex_bytes){in.data + 1 + key_len, in.len - 1 - key_len},
            &err) == PLEX_OK &&
        tspace_core_restored(core, now, &err) == PLEX_OK) {
        while (tspace_core_next(core, &action))
            ;
        tspace_core_tick(core, (struct tspace_now){1ull << 50, 1ull << 50});
        while (tspace_core_next(core, &action))
            ;
    }
    tspace_core_free(core);
    plex_buf_free(&packed);
    plex_buf_free(&body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct plex_bytes in;

    if (size == 0)
        return 0;
    in = (struct plex_bytes){data + 1, size - 1};
    if (data[0] == 0)
        fuzz_tuple(in);
    else if (data[0] == 1)
        fuzz_template(in);
    else if (data[0] < 10)
        fuzz_record((enum tspace_record)(data[0] - 1), in);
    return 0;
}
