/* Groups of tuples with equal hash. Buckets split and join one at a time, so
 * no operation ever pays for all of them. */
#include "services/tuplespace/engine/hashed.h"

static struct hashed_node *
node_at(const struct hashed *hashed, uint32_t pos)
{
    return rows_at(&hashed->nodes, pos);
}

static uint32_t
bucket_number(const struct hashed *hashed, uint32_t hash)
{
    const uint32_t bucket = hash & hashed->mask;

    return bucket < hashed->n_buckets ? bucket : hash & hashed->mask >> 1;
}

static uint32_t *
bucket_of(const struct hashed *hashed, uint32_t hash)
{
    return rows_at(&hashed->buckets, bucket_number(hashed, hash));
}

void
hashed_init(struct hashed *hashed, bool single)
{
    hashed->single = single;
    hashed->nodes.row_bytes = sizeof(struct hashed_node);
    hashed->buckets.row_bytes = sizeof(uint32_t);
    rows_grow(&hashed->buckets);
    hashed->n_buckets = 1;
}

void
hashed_fini(struct hashed *hashed)
{
    rows_free(&hashed->nodes);
    rows_free(&hashed->buckets);
}

uint64_t
hashed_bytes(const struct hashed *hashed)
{
    return rows_bytes(&hashed->nodes) + rows_bytes(&hashed->buckets);
}

uint32_t
hashed_first(const struct hashed *hashed, uint32_t hash)
{
    uint32_t pos;

    if (hashed->single)
        return hashed->n_groups == 0 ? POS_NONE : hashed->only;
    pos = *bucket_of(hashed, hash) - 1;

    while (pos != POS_NONE && node_at(hashed, pos)->hash != hash)
        pos = node_at(hashed, pos)->chain;
    return pos;
}

uint32_t
hashed_last(const struct hashed *hashed, uint32_t hash)
{
    const uint32_t head = hashed_first(hashed, hash);

    return head == POS_NONE ? POS_NONE : node_at(hashed, head)->prev;
}

uint32_t
hashed_next(const struct hashed *hashed, uint32_t pos)
{
    return node_at(hashed, pos)->next;
}

uint32_t
hashed_prev(const struct hashed *hashed, uint32_t pos)
{
    const uint32_t prev = node_at(hashed, pos)->prev;

    /* A head's prev is the tail, after which there is nothing. */
    return node_at(hashed, prev)->next == pos ? prev : POS_NONE;
}

/* -- the number of buckets ------------------------------------------------- */

static void
bucket_split(struct hashed *hashed)
{
    const uint32_t added = hashed->n_buckets;
    uint32_t *from, *to, pos;

    if (added > hashed->mask)
        hashed->mask = hashed->mask * 2 + 1;
    if (added == hashed->buckets.room)
        rows_grow(&hashed->buckets);
    from = rows_at(&hashed->buckets, added & hashed->mask >> 1);
    to = rows_at(&hashed->buckets, added);
    hashed->n_buckets++;
    pos = *from - 1;
    *from = *to = 0;
    while (pos != POS_NONE) {
        struct hashed_node *node = node_at(hashed, pos);
        uint32_t *bucket = (node->hash & hashed->mask) == added ? to : from;
        const uint32_t next = node->chain;

        node->chain = *bucket - 1;
        *bucket = pos + 1;
        pos = next;
    }
}

static void
bucket_join(struct hashed *hashed)
{
    const uint32_t last = --hashed->n_buckets;
    uint32_t *from = rows_at(&hashed->buckets, last);
    uint32_t *to = rows_at(&hashed->buckets, last & hashed->mask >> 1);
    uint32_t pos = *from - 1;

    *from = 0;
    if (last == (hashed->mask >> 1) + 1)
        hashed->mask >>= 1;
    while (pos != POS_NONE) {
        struct hashed_node *node = node_at(hashed, pos);
        const uint32_t next = node->chain;

        node->chain = *to - 1;
        *to = pos + 1;
        pos = next;
    }
}

/* -- members --------------------------------------------------------------- */

/* In its bucket, `with` takes the place of the head `head`; POS_NONE: the next
 * group does. */
static void
head_replace(struct hashed *hashed, uint32_t head, uint32_t with)
{
    uint32_t *link = bucket_of(hashed, node_at(hashed, head)->hash);
    uint32_t pos = *link - 1;
    const uint32_t after = node_at(hashed, head)->chain;

    if (with != POS_NONE)
        node_at(hashed, with)->chain = after;
    else
        with = after;
    hashed->only = with;
    if (hashed->single)
        return;
    if (pos == head) {
        *link = with + 1;
        return;
    }
    while (node_at(hashed, pos)->chain != head)
        pos = node_at(hashed, pos)->chain;
    node_at(hashed, pos)->chain = with;
}

/* Is the tuple with this id in the group? Its position, or POS_NONE. */
static uint32_t
member_find(const struct shape *shape, const struct hashed *hashed, uint64_t id,
            uint32_t hash)
{
    const struct item *item = core_item_find(shape->core, id);

    if (item == NULL || item->shape != shape || !item->linked ||
        node_at(hashed, item->pos)->hash != hash)
        return POS_NONE;
    return item->pos;
}

/*
 * A tuple that came back: its place is where its id says, between the head and
 * the tail. It is looked for from both ends and, by their ids, among those just
 * before it. Of N ids given out, n members: the ends are n / 2 away at most and
 * the member before about N / n, so it is found in the order of the root of N.
 */
static uint32_t
member_before(const struct shape *shape, const struct hashed *hashed,
              uint32_t head, uint32_t pos)
{
    const uint64_t id = shape_item(shape, pos)->id;
    const uint32_t hash = node_at(hashed, pos)->hash;
    uint32_t front = head, back = node_at(hashed, head)->prev, near;

    for (uint64_t step = 1;; step++) {
        const uint32_t next = node_at(hashed, front)->next;

        if (shape_item(shape, next)->id > id)
            return front;
        front = next;
        back = node_at(hashed, back)->prev;
        if (shape_item(shape, back)->id < id)
            return back;
        near = member_find(shape, hashed, id - step, hash);
        if (near != POS_NONE)
            return near;
    }
}

static void
between_insert(const struct shape *shape, struct hashed *hashed, uint32_t head,
               uint32_t pos)
{
    const uint32_t before = member_before(shape, hashed, head, pos);

    node_at(hashed, pos)->prev = before;
    node_at(hashed, pos)->next = node_at(hashed, before)->next;
    node_at(hashed, node_at(hashed, before)->next)->prev = pos;
    node_at(hashed, before)->next = pos;
}

void
hashed_insert(const struct shape *shape, struct hashed *hashed, uint32_t pos,
              uint32_t hash)
{
    const uint64_t id = shape_item(shape, pos)->id;
    struct hashed_node *node;
    uint32_t head, tail;

    while (pos >= hashed->nodes.room)
        rows_grow(&hashed->nodes);
    node = node_at(hashed, pos);
    *node = (struct hashed_node){hash, POS_NONE, pos, POS_NONE};
    head = hashed_first(hashed, hash);
    if (head == POS_NONE) {
        uint32_t *bucket = bucket_of(hashed, hash);

        hashed->only = pos;
        hashed->n_groups++;
        if (hashed->single)
            return;
        node->chain = *bucket - 1;
        *bucket = pos + 1;
        if (hashed->n_groups > hashed->n_buckets)
            bucket_split(hashed);
        return;
    }
    tail = node_at(hashed, head)->prev;
    if (shape_item(shape, tail)->id < id) {
        node->prev = tail;
        node_at(hashed, tail)->next = pos;
        node_at(hashed, head)->prev = pos;
    } else if (shape_item(shape, head)->id > id) {
        node->next = head;
        node->prev = tail;
        head_replace(hashed, head, pos);
        node_at(hashed, head)->prev = pos;
    } else {
        between_insert(shape, hashed, head, pos);
    }
}

void
hashed_remove(struct hashed *hashed, uint32_t pos)
{
    struct hashed_node *node = node_at(hashed, pos);
    const uint32_t before = hashed_prev(hashed, pos);

    if (before != POS_NONE) {
        node_at(hashed, before)->next = node->next;
        if (node->next != POS_NONE)
            node_at(hashed, node->next)->prev = before;
        else
            node_at(hashed, hashed_first(hashed, node->hash))->prev = before;
        return;
    }
    head_replace(hashed, pos, node->next);
    if (node->next != POS_NONE) {
        node_at(hashed, node->next)->prev =
            node->prev == pos ? node->next : node->prev;
        return;
    }
    hashed->n_groups--;
    for (int i = 0; i < 2 && hashed->n_buckets > 8 &&
                    hashed->n_groups < hashed->n_buckets / 4;
         i++)
        bucket_join(hashed);
}
