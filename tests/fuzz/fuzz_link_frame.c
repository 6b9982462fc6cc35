/* Any bytes as a frame: read to the end, and write again what was read. */
#include "common/link_frame.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct plex_frame_reader reader, again;
    struct plex_envelope envelope, copy;
    struct plex_frame *frame;
    struct plex_err err;

    if (plex_frame_open(&reader, (struct plex_bytes){data, size}, &err) !=
        PLEX_OK)
        return 0;
    frame = plex_frame_create(&reader.head, 0);
    while (plex_frame_next(&reader, &envelope, &err) == PLEX_OK) {
        const size_t len = plex_envelope_size(&envelope);

        assert(len <= envelope.payload.len + PLEX_ENVELOPE_OVERHEAD_MAX);
        (void)plex_frame_append(frame, &envelope, len);
        if (plex_frame_open(&again,
                            (struct plex_bytes){frame->data, frame->len},
                            &err) != PLEX_OK)
            assert(frame->len > 17 << 20);
        else
            while (plex_frame_next(&again, &copy, &err) == PLEX_OK)
                ;
        if (frame->len > 1 << 16)
            break;
    }
    plex_frame_free(frame);
    return 0;
}
