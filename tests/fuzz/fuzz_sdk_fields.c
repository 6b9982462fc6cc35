/* What the SDK reads in answers of the tuple space, which anybody may have
 * written: fields, numbers, texts, parties, parts of ranks. */
#include <plexspaces/coordination.h>

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_fields(const struct plex_value *fields)
{
    struct plex_value field;
    char text[64], *copy;
    int64_t number;
    size_t n;

    for (size_t i = 0; i < 8 && plex_tuple_field(fields, i, &field); i++) {
        assert((const char *)field.data >= (const char *)fields->data);
        assert(field.len <= fields->len);
        (void)plex_tuple_number(fields, i, &number);
        if (field.len >= 2)
            plex_tuple_field_text(&field, text, sizeof text);
        copy = plex_tuple_field_copy(fields, i);
        assert(copy != NULL);
        free(copy);
        (void)plex_party_is(&field, "\"a\"", &n);
        if (field.len >= 2) {
            copy = plex_party_remove(&field, "\"a\"");
            free(copy);
            copy = plex_party_add(&field, "\"a\"");
            free(copy);
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    const struct plex_value answer = {text, size};
    struct plex_value fields;
    double numbers[4];
    int64_t whole[4];

    assert(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    try_fields(&answer);
    if (plex_tuple_first(&answer, &fields))
        try_fields(&fields);
    (void)plex_array_read(text, plex_doubles(numbers, 4));
    (void)plex_array_read(text, plex_int64s(whole, 4));
    free(text);
    return 0;
}
