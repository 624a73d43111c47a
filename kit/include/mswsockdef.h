/* mswsockdef.h: Microsoft's additions to Winsock that the kernel knows. Written for this project. */
#pragma once

#include <ws2def.h>

#define SIO_SET_COMPATIBILITY_MODE      _WSAIOW(IOC_VENDOR, 300)
