/* What Rust cannot express: definitions with a variable argument list (DbgPrint), and leaving a thread's frames behind
 * without unwinding them (PsTerminateSystemThread, which on Windows runs no destructors either). Everything else is in
 * Rust: debug.rs parses the format and asks for one argument at a time, thread.rs says when a thread ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

struct wsk_sim_arguments {
    va_list list;
};

uint32_t wsk_sim_debug_print(const char *format, struct wsk_sim_arguments *arguments);

/* Integers and pointers travel in slots of eight bytes; the caller of this function masks what is narrower. */
uint64_t wsk_sim_next_argument(struct wsk_sim_arguments *arguments)
{
    return va_arg(arguments->list, uint64_t);
}

uint32_t DbgPrint(const char *format, ...)
{
    struct wsk_sim_arguments arguments;
    va_start(arguments.list, format);
    uint32_t status = wsk_sim_debug_print(format, &arguments);
    va_end(arguments.list);
    return status;
}

uint32_t DbgPrintEx(uint32_t component, uint32_t level, const char *format, ...)
{
    struct wsk_sim_arguments arguments;
    (void)component;
    (void)level;
    va_start(arguments.list, format);
    uint32_t status = wsk_sim_debug_print(format, &arguments);
    va_end(arguments.list);
    return status;
}

/* Writes to `base` where wsk_sim_leave_thread has to jump to; each simulated thread has a stack and a base of its own. */
void wsk_sim_run_thread(void **base, void (*start)(void *), void *context)
{
    jmp_buf here;
    *base = &here;
    if (setjmp(here) == 0) {
        start(context);
    }
}

_Noreturn void wsk_sim_leave_thread(void *base)
{
    longjmp(*(jmp_buf *)base, 1);
}
