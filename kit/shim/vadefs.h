/* vadefs.h: mingw-w64's, which knows no ARM64. */
#pragma once

#if defined(_M_ARM64)
typedef char *va_list;
#define _VA_LIST_DEFINED
#define _ADDRESSOF(v)       (&(v))
#define _crt_va_start(v, l) __builtin_va_start(v, l)
#define _crt_va_arg(v, t)   __builtin_va_arg(v, t)
#define _crt_va_end(v)      __builtin_va_end(v)
#define _crt_va_copy(d, s)  __builtin_va_copy(d, s)
#else
#include_next <vadefs.h>
#endif
