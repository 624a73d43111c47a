/* What the two halves of the driver share: the server that echoes over Winsock Kernel, as the device sees it. */
#pragma once

#include <ntddk.h>
/* Declares ExAllocatePool2 where the headers are those of mingw-w64, which stand at Windows 7. */
#include <ntstrsafe.h>
#ifndef POOL_FLAG_NON_PAGED
#define POOL_FLAG_NON_PAGED 0x40
#endif

#define ECHO_TAG 'ohcE'

/* The server: one thread that accepts one connection after the other. */
typedef struct ECHO_SERVER ECHO_SERVER;

NTSTATUS EchoStart(ECHO_SERVER **Server);

/* Ends the server, waits for its thread and frees it. */
VOID EchoStop(ECHO_SERVER *Server);

/* How many bytes it has echoed so far. */
ULONG EchoCount(ECHO_SERVER *Server);
