#include "runtime/fiber.h"

#include "common/mem.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define RT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RT_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define RT_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RT_TSAN 1
#endif
#endif

#ifdef RT_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef RT_TSAN
#include <sanitizer/tsan_interface.h>
#endif

/*
 * rt_stack_switch(&save, to): push what the calling convention preserves, put
 * the stack pointer into *save, take `to`, pop the same. A new stack is made
 * to look as if it had been left this way inside rt_stack_start, which calls
 * the function in one preserved register with the argument in another.
 */
void rt_stack_switch(void **save, void *to);
void rt_stack_start(void);

#if defined(__x86_64__)
__asm__(".text\n"
        ".globl rt_stack_switch\n"
        ".hidden rt_stack_switch\n"
        ".type rt_stack_switch,@function\n"
        "rt_stack_switch:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size rt_stack_switch,.-rt_stack_switch\n"
        ".globl rt_stack_start\n"
        ".hidden rt_stack_start\n"
        ".type rt_stack_start,@function\n"
        "rt_stack_start:\n"
        "    movq %r12, %rdi\n"
        "    xorl %ebp, %ebp\n"
        "    callq *%r13\n"
        "    ud2\n"
        ".size rt_stack_start,.-rt_stack_start\n");

static void *
stack_prepare(char *top, void (*fn)(void *), void *arg)
{
    uintptr_t *sp = (uintptr_t *)(void *)top;

    /* rt_stack_start calls, so the stack is aligned when it begins. */
    *--sp = 0;
    *--sp = 0;
    *--sp = (uintptr_t)rt_stack_start;
    *--sp = 0;              /* rbp */
    *--sp = 0;              /* rbx */
    *--sp = (uintptr_t)arg; /* r12 */
    *--sp = (uintptr_t)fn;  /* r13 */
    *--sp = 0;              /* r14 */
    *--sp = 0;              /* r15 */
    return sp;
}
#elif defined(__aarch64__)
__asm__(".text\n"
        ".globl rt_stack_switch\n"
        ".hidden rt_stack_switch\n"
        ".type rt_stack_switch,@function\n"
        "rt_stack_switch:\n"
        "    sub sp, sp, #160\n"
        "    stp x19, x20, [sp]\n"
        "    stp x21, x22, [sp, #16]\n"
        "    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n"
        "    stp x27, x28, [sp, #64]\n"
        "    stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n"
        "    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    mov x9, sp\n"
        "    str x9, [x0]\n"
        "    mov sp, x1\n"
        "    ldp x19, x20, [sp]\n"
        "    ldp x21, x22, [sp, #16]\n"
        "    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n"
        "    ldp x27, x28, [sp, #64]\n"
        "    ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n"
        "    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #160\n"
        "    ret\n"
        ".size rt_stack_switch,.-rt_stack_switch\n"
        ".globl rt_stack_start\n"
        ".hidden rt_stack_start\n"
        ".type rt_stack_start,@function\n"
        "rt_stack_start:\n"
        "    mov x0, x19\n"
        "    mov x29, xzr\n"
        "    blr x20\n"
        "    brk #1\n"
        ".size rt_stack_start,.-rt_stack_start\n");

static void *
stack_prepare(char *top, void (*fn)(void *), void *arg)
{
    uintptr_t *sp = (uintptr_t *)(void *)top - 20;

    for (int i = 0; i < 20; i++)
        sp[i] = 0;
    sp[0] = (uintptr_t)arg;             /* x19 */
    sp[1] = (uintptr_t)fn;              /* x20 */
    sp[11] = (uintptr_t)rt_stack_start; /* x30 */
    return sp;
}
#else
#include <ucontext.h>

/* Where nobody wrote the few instructions yet: several times slower. `sp` is
 * the context's address. */
void
rt_stack_switch(void **save, void *to)
{
    ucontext_t here;

    *save = &here;
    (void)swapcontext(&here, to);
}

static void
stack_enter(unsigned fn_high, unsigned fn_low, unsigned high, unsigned low)
{
    uintptr_t fn = ((uintptr_t)fn_high << 16 << 16) | fn_low;
    uintptr_t arg = ((uintptr_t)high << 16 << 16) | low;

    ((void (*)(void *))fn)((void *)arg);
}

static void *
stack_prepare(char *top, void (*fn)(void *), void *arg)
{
    ucontext_t *context = (ucontext_t *)(void *)(top - sizeof *context - 64);
    uintptr_t f = (uintptr_t)fn, a = (uintptr_t)arg;

    (void)getcontext(context);
    context->uc_stack.ss_sp = top - 48 * 1024;
    context->uc_stack.ss_size = 48 * 1024 - sizeof *context - 128;
    context->uc_link = NULL;
    makecontext(context, (void (*)(void))stack_enter, 4,
                (unsigned)(f >> 16 >> 16), (unsigned)f,
                (unsigned)(a >> 16 >> 16), (unsigned)a);
    return context;
}
#endif

enum { GUARD = 4096 };

/* The first thing on a new stack: tell the sanitizer that we arrived. */
static void
fiber_begin(void *arg)
{
    struct rt_fiber *fiber = arg;

#ifdef RT_ASAN
    __sanitizer_finish_switch_fiber(NULL, NULL, NULL);
#endif
    fiber->entry(fiber);
    abort();
}

static void
fiber_prepare(struct rt_fiber *fiber)
{
    fiber->sp =
        stack_prepare((char *)fiber->memory + fiber->bytes, fiber_begin, fiber);
    fiber->fake = NULL;
#ifdef RT_TSAN
    fiber->tsan = __tsan_create_fiber(0);
#endif
}

struct rt_fiber *
rt_fiber_create(size_t stack_bytes, void (*entry)(struct rt_fiber *fiber))
{
    struct rt_fiber *fiber;
    size_t bytes = GUARD + ((stack_bytes + GUARD - 1) & ~(size_t)(GUARD - 1));
    void *memory =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);

    if (memory == MAP_FAILED)
        return NULL;
    (void)mprotect(memory, GUARD, PROT_NONE);
    fiber = plex_calloc(1, sizeof *fiber);
    fiber->memory = memory;
    fiber->bytes = bytes;
    fiber->entry = entry;
    fiber->bottom = (char *)memory + GUARD;
    fiber->size = bytes - GUARD;
    fiber_prepare(fiber);
    return fiber;
}

void
rt_fiber_free(struct rt_fiber *fiber)
{
    if (fiber == NULL)
        return;
#ifdef RT_TSAN
    __tsan_destroy_fiber(fiber->tsan);
#endif
#ifdef RT_ASAN
    __asan_unpoison_memory_region(fiber->bottom, fiber->size);
#endif
    (void)munmap(fiber->memory, fiber->bytes);
    free(fiber);
}

void
rt_fiber_reset(struct rt_fiber *fiber)
{
#ifdef RT_TSAN
    __tsan_destroy_fiber(fiber->tsan);
#endif
#ifdef RT_ASAN
    /* The frames that are forgotten never unpoison what is theirs. */
    __asan_unpoison_memory_region(fiber->bottom, fiber->size);
#endif
    fiber_prepare(fiber);
}

void
rt_fiber_host(struct rt_fiber *fiber)
{
    *fiber = (struct rt_fiber){.exec = fiber->exec};
#ifdef RT_ASAN
    pthread_attr_t attr;
    void *bottom = NULL;

    if (pthread_getattr_np(pthread_self(), &attr) == 0) {
        (void)pthread_attr_getstack(&attr, &bottom, &fiber->size);
        (void)pthread_attr_destroy(&attr);
    }
    fiber->bottom = bottom;
#endif
#ifdef RT_TSAN
    fiber->tsan = __tsan_get_current_fiber();
#endif
}

void
rt_fiber_switch(struct rt_fiber *from, struct rt_fiber *to)
{
    to->exec = from->exec;
#ifdef RT_ASAN
    __sanitizer_start_switch_fiber(&from->fake, to->bottom, to->size);
#endif
#ifdef RT_TSAN
    __tsan_switch_to_fiber(to->tsan, 0);
#endif
    rt_stack_switch(&from->sp, to->sp);
#ifdef RT_ASAN
    __sanitizer_finish_switch_fiber(from->fake, NULL, NULL);
#endif
}
