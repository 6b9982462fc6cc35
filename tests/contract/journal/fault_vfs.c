#include "tests/contract/journal/fault_vfs.h"

#include <assert.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECTOR = 512, FILES_MAX = 64 };

/* A write or, without data, a truncation that was not flushed yet. */
struct change {
    struct change *next;
    sqlite3_int64 at;
    int len;
    uint8_t data[];
};

struct image {
    char *path;
    bool exists;
    uint8_t *data; /* flushed */
    size_t len;
    struct change *changes, **tail;
};

struct fault_file {
    sqlite3_file base;
    struct image *image;
    sqlite3_file *real;
};

static struct {
    pthread_mutex_t mutex;
    sqlite3_vfs vfs, *real;
    enum fault fault;
    uint64_t at, times, operations;
    bool hit, crashed;
    struct image images[FILES_MAX];
    size_t n_images;
} state = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* -- images -----------------------------------------------------------------
 */

static void
changes_drop(struct image *image)
{
    struct change *change;

    while ((change = image->changes) != NULL) {
        image->changes = change->next;
        free(change);
    }
    image->tail = &image->changes;
}

static void
image_resize(struct image *image, size_t len)
{
    image->data = realloc(image->data, len + 1);
    assert(image->data != NULL);
    if (len > image->len)
        memset(image->data + image->len, 0, len - image->len);
    image->len = len;
}

static void
change_apply(struct image *image, const struct change *change, int len)
{
    const size_t at = (size_t)change->at;

    if (change->len == 0) {
        image_resize(image, at);
        return;
    }
    if (at + (size_t)len > image->len)
        image_resize(image, at + (size_t)len);
    memcpy(image->data + at, change->data, (size_t)len);
}

static struct image *
image_find(const char *path)
{
    for (size_t i = 0; i < state.n_images; i++)
        if (strcmp(state.images[i].path, path) == 0)
            return &state.images[i];
    return NULL;
}

/* What is there when it is opened first has been there for long. */
static struct image *
image_make(const char *path)
{
    struct image *image = image_find(path);
    FILE *file;

    if (image == NULL) {
        assert(state.n_images < FILES_MAX);
        image = &state.images[state.n_images++];
        *image = (struct image){.path = strdup(path)};
        image->tail = &image->changes;
    }
    if (!image->exists && (file = fopen(path, "r")) != NULL) {
        (void)fseek(file, 0, SEEK_END);
        image_resize(image, (size_t)ftell(file));
        (void)fseek(file, 0, SEEK_SET);
        image->len = fread(image->data, 1, image->len, file);
        (void)fclose(file);
    }
    image->exists = true;
    return image;
}

static void
change_add(struct image *image, const void *data, int len, sqlite3_int64 at)
{
    struct change *change = malloc(sizeof *change + (size_t)len);

    assert(change != NULL);
    *change = (struct change){.at = at, .len = len};
    if (len > 0)
        memcpy(change->data, data, (size_t)len);
    *image->tail = change;
    image->tail = &change->next;
}

/* -- faults ------------------------------------------------------------------
 */

enum kind { KIND_WRITE, KIND_SYNC, KIND_OTHER };

static bool
fits(enum kind kind)
{
    switch (state.fault) {
    case FAULT_CRASH:
        return true;
    case FAULT_WRITE:
    case FAULT_WRITE_PART:
    case FAULT_FULL:
        return kind == KIND_WRITE;
    case FAULT_SYNC:
    case FAULT_LIE:
        return kind == KIND_SYNC;
    default:
        return false;
    }
}

/* The fault of this operation. With the mutex. */
static enum fault
next_fault(enum kind kind)
{
    state.operations++;
    if (state.crashed)
        return FAULT_CRASH;
    if (state.operations < state.at || state.times == 0 || !fits(kind))
        return FAULT_NONE;
    state.times--;
    state.hit = true;
    state.crashed = state.fault == FAULT_CRASH;
    return state.fault;
}

/* -- file --------------------------------------------------------------------
 */

static struct fault_file *
of(sqlite3_file *file)
{
    return (struct fault_file *)file;
}

static int
f_close(sqlite3_file *file)
{
    sqlite3_file *real = of(file)->real;

    return real->pMethods ? real->pMethods->xClose(real) : SQLITE_OK;
}

static int
f_read(sqlite3_file *file, void *to, int len, sqlite3_int64 at)
{
    sqlite3_file *real = of(file)->real;

    return real->pMethods->xRead(real, to, len, at);
}

static int
f_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 at)
{
    sqlite3_file *real = of(file)->real;
    enum fault fault;
    bool dead;
    int rc = SQLITE_OK;

    (void)pthread_mutex_lock(&state.mutex);
    dead = state.crashed;
    fault = next_fault(KIND_WRITE);
    if (fault == FAULT_CRASH)
        rc = SQLITE_IOERR_WRITE;
    else if (fault == FAULT_FULL)
        rc = SQLITE_FULL;
    else if (fault == FAULT_WRITE)
        rc = SQLITE_IOERR_WRITE;
    else if (fault == FAULT_WRITE_PART)
        len /= 2;
    /* The write that the crash interrupts may be on the disk, in part. */
    if (rc == SQLITE_OK || (fault == FAULT_CRASH && !dead)) {
        change_add(of(file)->image, data, len, at);
        if (rc == SQLITE_OK)
            rc = real->pMethods->xWrite(real, data, len, at);
    }
    (void)pthread_mutex_unlock(&state.mutex);
    return fault == FAULT_WRITE_PART ? SQLITE_IOERR_WRITE : rc;
}

static int
f_truncate(sqlite3_file *file, sqlite3_int64 len)
{
    sqlite3_file *real = of(file)->real;
    int rc = SQLITE_IOERR_TRUNCATE;

    (void)pthread_mutex_lock(&state.mutex);
    if (next_fault(KIND_OTHER) == FAULT_NONE) { /* no fault fits but a crash */
        change_add(of(file)->image, NULL, 0, len);
        rc = real->pMethods->xTruncate(real, len);
    }
    (void)pthread_mutex_unlock(&state.mutex);
    return rc;
}

static int
f_sync(sqlite3_file *file, int flags)
{
    struct image *image = of(file)->image;
    int rc = SQLITE_IOERR_FSYNC;
    enum fault fault;

    (void)flags;
    (void)pthread_mutex_lock(&state.mutex);
    fault = next_fault(KIND_SYNC);
    if (fault == FAULT_LIE)
        rc = SQLITE_OK;
    if (fault == FAULT_NONE) {
        for (const struct change *c = image->changes; c != NULL; c = c->next)
            change_apply(image, c, c->len);
        changes_drop(image);
        rc = SQLITE_OK;
    }
    (void)pthread_mutex_unlock(&state.mutex);
    return rc;
}

#define PASS(name, params, args)             \
    static int f_##name params               \
    {                                        \
        sqlite3_file *real = of(file)->real; \
                                             \
        return real->pMethods->x##name args; \
    }
PASS(FileSize, (sqlite3_file * file, sqlite3_int64 *size), (real, size))
PASS(Lock, (sqlite3_file * file, int level), (real, level))
PASS(Unlock, (sqlite3_file * file, int level), (real, level))
PASS(CheckReservedLock, (sqlite3_file * file, int *out), (real, out))
PASS(SectorSize, (sqlite3_file * file), (real))
PASS(DeviceCharacteristics, (sqlite3_file * file), (real))
PASS(ShmMap,
     (sqlite3_file * file, int page, int size, int extend, void volatile **out),
     (real, page, size, extend, out))
PASS(ShmLock, (sqlite3_file * file, int at, int n, int flags),
     (real, at, n, flags))
PASS(ShmUnmap, (sqlite3_file * file, int drop), (real, drop))

static void
f_shm_barrier(sqlite3_file *file)
{
    sqlite3_file *real = of(file)->real;

    real->pMethods->xShmBarrier(real);
}

/* Hints about sizes would write past us. */
static int
f_control(sqlite3_file *file, int op, void *arg)
{
    sqlite3_file *real = of(file)->real;

    if (op == SQLITE_FCNTL_SIZE_HINT || op == SQLITE_FCNTL_CHUNK_SIZE)
        return SQLITE_OK;
    return real->pMethods->xFileControl(real, op, arg);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = f_close,
    .xRead = f_read,
    .xWrite = f_write,
    .xTruncate = f_truncate,
    .xSync = f_sync,
    .xFileSize = f_FileSize,
    .xLock = f_Lock,
    .xUnlock = f_Unlock,
    .xCheckReservedLock = f_CheckReservedLock,
    .xFileControl = f_control,
    .xSectorSize = f_SectorSize,
    .xDeviceCharacteristics = f_DeviceCharacteristics,
    .xShmMap = f_ShmMap,
    .xShmLock = f_ShmLock,
    .xShmBarrier = f_shm_barrier,
    .xShmUnmap = f_ShmUnmap,
};

static int
v_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
       int *out_flags)
{
    struct fault_file *f = of(file);
    int rc;

    (void)vfs;
    *f = (struct fault_file){.real = (sqlite3_file *)(f + 1)};
    f->real->pMethods = NULL;
    rc = state.real->xOpen(state.real, name, f->real, flags, out_flags);
    if (rc != SQLITE_OK)
        return rc;
    (void)pthread_mutex_lock(&state.mutex);
    f->image = image_make(name ? name : "");
    (void)pthread_mutex_unlock(&state.mutex);
    file->pMethods = &methods;
    return SQLITE_OK;
}

static int
v_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
    struct image *image;
    int rc = SQLITE_IOERR_DELETE;

    (void)vfs;
    (void)pthread_mutex_lock(&state.mutex);
    if (next_fault(KIND_OTHER) == FAULT_NONE) {
        image = image_find(name);
        if (image != NULL) {
            changes_drop(image);
            image->len = 0;
            image->exists = false;
        }
        rc = state.real->xDelete(state.real, name, sync_folder);
    }
    (void)pthread_mutex_unlock(&state.mutex);
    return rc;
}

/* -- control -----------------------------------------------------------------
 */

void
fault_vfs_install(void)
{
    state.real = sqlite3_vfs_find(NULL);
    state.vfs = *state.real;
    state.vfs.zName = "fault";
    state.vfs.szOsFile = (int)sizeof(struct fault_file) + state.real->szOsFile;
    state.vfs.xOpen = v_open;
    state.vfs.xDelete = v_delete;
    state.vfs.pNext = NULL;
    assert(sqlite3_vfs_register(&state.vfs, 1) == SQLITE_OK);
}

void
fault_vfs_arm(enum fault fault, uint64_t at, uint64_t times)
{
    (void)pthread_mutex_lock(&state.mutex);
    for (size_t i = 0; i < state.n_images; i++) {
        changes_drop(&state.images[i]);
        free(state.images[i].data);
        free(state.images[i].path);
    }
    state.n_images = 0;
    state.fault = fault;
    state.at = at;
    state.times = times;
    state.operations = 0;
    state.hit = state.crashed = false;
    (void)pthread_mutex_unlock(&state.mutex);
}

bool
fault_vfs_hit(void)
{
    bool hit;

    (void)pthread_mutex_lock(&state.mutex);
    hit = state.hit;
    (void)pthread_mutex_unlock(&state.mutex);
    return hit;
}

static void
image_write(const char *from, const char *to, unsigned seed)
{
    struct image *image = image_find(from), copy = {0};
    FILE *file;

    (void)remove(to);
    if (image == NULL || !image->exists)
        return;
    image_resize(&copy, image->len);
    if (image->len > 0)
        memcpy(copy.data, image->data, image->len);
    for (const struct change *c = image->changes; c != NULL; c = c->next) {
        const int sectors = (c->len + SECTOR - 1) / SECTOR;
        int len = c->len;

        if (seed == 0 || (seed > 1 && rand_r(&seed) % 3 == 0))
            continue; /* lost */
        if (seed > 1 && sectors > 0 && rand_r(&seed) % 4 == 0)
            len = rand_r(&seed) % sectors * SECTOR; /* torn */
        if (c->len == 0 || len > 0)
            change_apply(&copy, c, len);
    }
    file = fopen(to, "w");
    assert(file != NULL);
    assert(fwrite(copy.data, 1, copy.len, file) == copy.len);
    (void)fclose(file);
    free(copy.data);
}

void
fault_vfs_image(const char *from, const char *to, unsigned seed)
{
    char log_from[256], log_to[256], shm[256];

    (void)snprintf(log_from, sizeof log_from, "%s-wal", from);
    (void)snprintf(log_to, sizeof log_to, "%s-wal", to);
    (void)snprintf(shm, sizeof shm, "%s-shm", to);
    (void)remove(shm);
    (void)pthread_mutex_lock(&state.mutex);
    image_write(from, to, seed);
    image_write(log_from, log_to, seed > 1 ? seed + 1 : seed);
    (void)pthread_mutex_unlock(&state.mutex);
}
