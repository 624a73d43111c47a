/* ntdef.h: mingw-w64's, with a FIELD_OFFSET that clang accepts as an integer constant expression in C. */
#pragma once
#include_next <ntdef.h>

/* Otherwise each C_ASSERT(FIELD_OFFSET(..) == ..) of the kernel headers declares an array of variable length. */
#undef FIELD_OFFSET
#define FIELD_OFFSET(Type, Field) ((LONG)__builtin_offsetof(Type, Field))
