/* in6addr.h: the IPv6 address structure. Written for this project from the published interface. */
#pragma once

/* An IPv6 address in network byte order. Its alignment is 2: nothing in it is wider than a word. */
typedef struct in6_addr {
    union {
        UCHAR Byte[16];
        USHORT Word[8];
    } u;
} IN6_ADDR, *PIN6_ADDR, *LPIN6_ADDR;

#define in_addr6  in6_addr
#define _S6_un    u
#define _S6_u8    Byte
#define s6_addr   _S6_un._S6_u8
#define s6_bytes  u.Byte
#define s6_words  u.Word
