/*
 * wskndk.h: the extension interface of WSK to Network Direct adapters. Written for this project.
 *
 * An adapter is opaque here: its own table is the business of the NDK provider interface.
 */
#pragma once

#include <wsk.h>

/* Control code of WskControlClient that asks for the table below: the characters NDKD. */
#define WSKNDK_GET_WSK_PROVIDER_NDK_DISPATCH ((ULONG)'NDKD')

typedef struct _NDK_VERSION {
    USHORT Major;
    USHORT Minor;
} NDK_VERSION;

typedef struct _NDK_ADAPTER NDK_ADAPTER;

typedef NTSTATUS
(WSKAPI *PFN_WSK_NDK_OPEN_ADAPTER)(
    PWSK_CLIENT Client,
    NDK_VERSION NdkVersion,
    NET_IFINDEX IfIndex,
    NDK_ADAPTER **ppNdkAdapter
    );

typedef VOID
(WSKAPI *PFN_WSK_NDK_CLOSE_ADAPTER)(
    PWSK_CLIENT Client,
    NDK_ADAPTER *pNdkAdapter
    );

typedef struct _WSK_PROVIDER_NDK_DISPATCH {
    PFN_WSK_NDK_OPEN_ADAPTER WskOpenNdkAdapter;
    PFN_WSK_NDK_CLOSE_ADAPTER WskCloseNdkAdapter;
} WSK_PROVIDER_NDK_DISPATCH;
typedef WSK_PROVIDER_NDK_DISPATCH *PWSK_PROVIDER_NDK_DISPATCH;
